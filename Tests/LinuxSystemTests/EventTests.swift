// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxSystem
import Testing

@Suite struct EventTests {
    @Test func `an event is readable from signal to clear`() throws {
        let event = try EventFD()
        #expect(try !isReadable(event))
        event.signal()
        event.signal()
        #expect(try isReadable(event))
        #expect(try isReadable(event))
        event.clear()
        #expect(try !isReadable(event))
        event.clear()
        #expect(try !isReadable(event))
    }

    @Test(.timeLimit(.minutes(1)))
    func `a signal wakes a thread that polls`() throws {
        let event = try EventFD()
        let started = FutexWord(0)
        try withThread("test-poll") {
            started.store(1)
            let ready = try? waitUntilReadable([event.rawDescriptor, -1], timeout: nil)
            #expect(ready.map { [$0[0], $0[1]] } == [true, false])
        } during: { _ in
            while started.value == 0 { started.wait(while: 0, timeout: nil) }
            usleep(20_000)
            event.signal()
        }
    }

    @Test func `poll says which of several are readable, in a fixed and in a free number`() throws {
        let events = [try EventFD(), try EventFD(), try EventFD()]
        // An array may be freed after its last use, and its descriptors with it.
        defer { withExtendedLifetime(events) {} }
        events[1].signal()
        let numbers = events.map(\.rawDescriptor)
        #expect(try waitUntilReadable(numbers, timeout: .seconds(5)) == [false, true, false])
        let fixed: [3 of CInt] = [numbers[0], numbers[1], numbers[2]]
        let ready = try waitUntilReadable(fixed, timeout: .seconds(5))
        #expect([ready[0], ready[1], ready[2]] == [false, true, false])
        #expect(try waitUntilReadable([CInt](), timeout: .zero) == [])
    }

    @Test(.timeLimit(.minutes(1)))
    func `a set says which of its descriptors is readable, as long as it is`() throws {
        let events = [try EventFD(), try EventFD()]
        defer { withExtendedLifetime(events) {} }
        let set = try ReadySet()
        try set.add(events[0].rawDescriptor, wakes: .all)
        try set.add(events[1].rawDescriptor, wakes: .one)
        events[1].signal()
        #expect(try set.wait() == events[1].rawDescriptor)
        #expect(try set.wait() == events[1].rawDescriptor)
        events[1].clear()
        events[0].signal()
        #expect(try set.wait() == events[0].rawDescriptor)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a signal wakes a thread that waits for a set`() throws {
        let event = try EventFD()
        let started = FutexWord(0)
        try withThread("test-set") {
            guard let set = try? ReadySet(),
                (try? set.add(event.rawDescriptor, wakes: .one)) != nil
            else { return }
            started.store(1)
            #expect((try? set.wait()) == event.rawDescriptor)
        } during: { _ in
            while started.value == 0 { started.wait(while: 0, timeout: .seconds(10)) }
            usleep(20_000)
            event.signal()
        }
    }

    @Test func `a set refuses a descriptor twice`() throws {
        let event = try EventFD()
        let set = try ReadySet()
        try set.add(event.rawDescriptor, wakes: .all)
        #expect(throws: SystemError.self) { try set.add(event.rawDescriptor, wakes: .all) }
    }

    @Test(.timeLimit(.minutes(1)))
    func `poll ends after its time, never before`() throws {
        let event = try EventFD()
        let start = MonotonicTime.now
        let ready = try waitUntilReadable([event.rawDescriptor], timeout: .microseconds(20_100))
        let took = MonotonicTime.now.nanoseconds(since: start)
        #expect(ready == [false])
        #expect(took >= 20_100_000)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a closed descriptor and a closed peer count as readable`() throws {
        #expect(try waitUntilReadable([1_000_000], timeout: .seconds(5)) == [true])
        let second = try socketOfClosedPeer()
        let number = second.socket.rawDescriptor
        #expect(try waitUntilReadable([number], timeout: .seconds(5)) == [true])
    }

    private func isReadable(_ event: EventFD) throws -> Bool {
        try waitUntilReadable([event.rawDescriptor], timeout: .zero) == [true]
    }
}

@Suite struct FutexTests {
    @Test(.timeLimit(.minutes(1)))
    func `a change wakes every sleeper`() throws {
        let word = FutexWord(7)
        let woken = FutexWord(0)
        let threads = ThreadGroup()
        for number in 0..<4 {
            try threads.start("test-sleep-\(number)") {
                while word.value == 7 { word.wait(while: 7, timeout: nil) }
                woken.add(1)
            }
        }
        usleep(20_000)
        #expect(woken.value == 0)
        word.store(8)
        threads.joinAll()
        #expect(woken.value == 4)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a wait ends after its time`() {
        let word = FutexWord(0)
        let start = MonotonicTime.now
        word.wait(while: 0, timeout: .milliseconds(30))
        #expect(MonotonicTime.now.nanoseconds(since: start) >= 30_000_000)
        word.wait(while: 0, timeout: .zero)
        word.wait(while: 0, timeout: .seconds(-1))
    }

    @Test(.timeLimit(.minutes(1)))
    func `a wait for another value does not sleep`() {
        let word = FutexWord(1)
        word.wait(while: 0, timeout: nil)
        #expect(word.value == 1)
    }

    @Test func `it counts, and wraps`() {
        let word = FutexWord(.max)
        #expect(word.add(2) == 1)
        #expect(word.decrement() == 0)
        #expect(word.decrement() == .max)
        #expect(word.value == .max)
    }
}
