// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxSystem
import Synchronization
import Testing

@Suite struct ThreadTests {
    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            ("dst-fault-0", "dst-fault-0"), ("exactly15bytes!", "exactly15bytes!"),
            ("a name that is too long", "a name that is "), ("", ""),
        ]
    )
    func `a thread has its name, cut to 15 bytes`(name: String, seen: String) throws {
        let found = Mutex("")
        try Thread(name: name) {
            let text = Host.contents(of: "/proc/thread-self/comm") ?? ""
            found.withLock { $0 = text }
        }
        .join()
        #expect(found.withLock { $0 } == seen + "\n")
    }

    @Test(.timeLimit(.minutes(1)))
    func `join waits until the thread has ended`() throws {
        let isDone = Atomic(false)
        try Thread(name: "test-slow") {
            usleep(50_000)
            isDone.store(true, ordering: .releasing)
        }
        .join()
        let wasDone = isDone.load(ordering: .acquiring)
        #expect(wasDone)
    }

    @Test(.timeLimit(.minutes(1)))
    func `to drop a thread that was not joined is a trap`() async {
        await #expect(processExitsWith: .failure) {
            do { _ = try Thread(name: "test-lost") {} }
            exit(0)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a group joins all of its threads, once`() throws {
        let group = ThreadGroup()
        let ended = Atomic(0)
        for number in 0..<5 {
            try group.start("test-\(number)") {
                usleep(10_000)
                ended.add(1, ordering: .relaxed)
            }
        }
        group.joinAll()
        let five = ended.load(ordering: .relaxed)
        #expect(five == 5)
        group.joinAll()
        try group.start("test-again") { ended.add(1, ordering: .relaxed) }
        group.joinAll()
        let six = ended.load(ordering: .relaxed)
        #expect(six == 6)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a kick interrupts a thread that blocks for ever`() throws {
        try KickSignal.install()
        let event = try EventFD()
        let isDone = Atomic(false)
        try withThread("test-kicked") {
            let ready = try? waitUntilReadable([event.rawDescriptor], timeout: nil)
            #expect(ready == [false])
            isDone.store(true, ordering: .releasing)
        } during: { thread in
            while !isDone.load(ordering: .acquiring) {
                thread.kick()
                usleep(1000)
            }
            // And one that has ended already is no harm.
            thread.kick()
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a kick does not end a receive, which goes on waiting`() throws {
        try KickSignal.install()
        let (shared, peer) = try sharedPair()
        try withThread("test-kicked") {
            let bytes = try? receiveSome(from: shared.socket, most: 1)
            #expect(bytes == [5])
        } during: { thread in
            for _ in 0..<20 {
                thread.kick()
                usleep(1000)
            }
            try send([5], [], on: peer.socket)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `stop signals are read, and end nothing`() async {
        await #expect(processExitsWith: .exitCode(42)) {
            let signals = try StopSignals()
            guard signals.take() == nil else { exit(1) }
            // To this thread: the others of a test process do not block it.
            raise(SIGTERM)
            let ready = try waitUntilReadable([signals.rawDescriptor], timeout: .seconds(10))
            guard ready == [true], signals.take() == SIGTERM, signals.take() == nil else { exit(2) }
            exit(42)
        }
    }
}
