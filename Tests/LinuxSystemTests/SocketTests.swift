// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxSystem
import Synchronization
import TestSupport
import Testing

@Suite struct SocketTests {
    @Test(.timeLimit(.minutes(1)))
    func `a header and a body arrive as one stream of bytes`() throws {
        let pair = try SocketPair()
        try send([1, 2, 3], [4, 5], on: pair.first)
        try send([], [6], on: pair.first)
        try send([7], [], on: pair.first)
        try send([], [], on: pair.first)
        #expect(try receive(7, from: pair.second) == [1, 2, 3, 4, 5, 6, 7])
    }

    @Test(.timeLimit(.minutes(1)))
    func `more than the kernel buffers is sent in full, and through interruptions`() throws {
        try KickSignal.install()
        let (sender, receiver) = try sharedPair()
        try sender.socket.limitSendBuffer(byteCount: 4096)
        var random = SeededGenerator(seed: 5)
        let header = (0..<3_000_001).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        let body = (0..<2_000_003).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        let isDone = Atomic(false)
        try withThread("test-send") {
            let isSent: Void? = try? send(header, body, on: sender.socket)
            #expect(isSent != nil)
            isDone.store(true, ordering: .releasing)
        } during: { thread in
            var received: [UInt8] = []
            while received.count < header.count + body.count {
                if !isDone.load(ordering: .acquiring) { thread.kick() }
                let part = try receiveSome(from: receiver.socket, most: 50_000)
                if part.isEmpty { break }
                received += part
            }
            #expect(received == header + body)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a socket that goes out of scope ends the stream`() throws {
        let second = try SocketPair().take { first, second in
            try? send([9], [], on: first)
            return Shared(second)
        }
        #expect(try receive(1, from: second.socket) == [9])
        #expect(try receiveSome(from: second.socket, most: 1) == [])
    }

    @Test(.timeLimit(.minutes(1)))
    func `to send to a peer that has gone is EPIPE and no signal`() throws {
        let second = try socketOfClosedPeer()
        #expect(throws: SystemError(code: EPIPE, operation: "sendmsg")) {
            try send([1], [], on: second.socket)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `shutdown wakes a thread that waits to receive`() throws {
        let (shared, peer) = try sharedPair()
        defer { withExtendedLifetime(peer) {} }
        let started = FutexWord(0)
        try withThread("test-receive") {
            started.store(1)
            let bytes = try? receiveSome(from: shared.socket, most: 1)
            #expect(bytes == [])
        } during: { _ in
            while started.value == 0 { started.wait(while: 0, timeout: nil) }
            usleep(20_000)
            shared.socket.shutdown()
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `shutdown wakes a thread that waits to send`() throws {
        let (shared, peer) = try sharedPair()
        defer { withExtendedLifetime(peer) {} }
        let started = FutexWord(0)
        try withThread("test-send") {
            started.store(1)
            do {
                try send([UInt8](repeating: 0, count: 8 << 20), [], on: shared.socket)
                Issue.record("all of it was sent")
            } catch {
                #expect(error as? SystemError == SystemError(code: EPIPE, operation: "sendmsg"))
            }
        } during: { _ in
            while started.value == 0 { started.wait(while: 0, timeout: nil) }
            usleep(20_000)
            shared.socket.shutdown()
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: [1, 30_000_000] as [Int64])
    func `a bounded receive runs out of time`(nanoseconds: Int64) throws {
        let pair = try SocketPair()
        try pair.first.limitBlocking(to: .nanoseconds(nanoseconds))
        let start = MonotonicTime.now
        #expect(throws: SystemError(code: EAGAIN, operation: "recv")) {
            try receiveSome(from: pair.first, most: 1)
        }
        let took = MonotonicTime.now.nanoseconds(since: start)
        #expect(took >= UInt64(nanoseconds) && took < 10_000_000_000)
    }

    @Test(.timeLimit(.minutes(1)), arguments: [Duration.zero, .seconds(-1), .nanoseconds(999)])
    func `a bound of next to nothing is a bound, not its absence`(limit: Duration) throws {
        let pair = try SocketPair()
        try pair.first.limitBlocking(to: limit)
        #expect(throws: SystemError(code: EAGAIN, operation: "recv")) {
            try receiveSome(from: pair.first, most: 1)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a bounded send runs out of time`() throws {
        let pair = try SocketPair()
        try pair.first.limitBlocking(to: .milliseconds(30))
        #expect(throws: SystemError(code: EAGAIN, operation: "sendmsg")) {
            try send([UInt8](repeating: 0, count: 8 << 20), [], on: pair.first)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a bound that was lifted no longer counts`() throws {
        let (receiver, shared) = try sharedPair()
        try receiver.socket.limitBlocking(to: .milliseconds(10))
        try receiver.socket.limitBlocking(to: nil)
        try withThread("test-late") {
            usleep(100_000)
            try? send([7], [], on: shared.socket)
        } during: { _ in
            let bytes = try receive(1, from: receiver.socket)
            #expect(bytes == [7])
        }
    }
}
