// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxSystem
import MigrationWire
import SwiftProtobuf
import TestSupport
import Testing
import Transport

@Suite struct ControlChannelTests {
    private let limit = Duration.seconds(20)
    /// Bytes that a message may have here.
    private let most = WireLimits.controlMessageByteCount

    private static var bodies: [WireControlMessage.OneOf_Body] {
        var hello = WireHello()
        hello.pageByteCount = 4096
        hello.bootIdentity = "boot"
        var welcome = WireWelcome()
        welcome.key = .random()
        var run = WireRun()
        run.stateSentNs = .max
        return [
            .hello(hello), .welcome(welcome), .prepared(WirePrepared()), .state(WireState()),
            .loaded(WireLoaded()), .run(run), .running(WireRunning()), .done(WireDone()),
            .doneAck(WireDoneAck()),
        ]
    }

    @Test(.timeLimit(.minutes(1)))
    func `every message comes through, in whatever pieces`() throws {
        for count in [1, 2, 3, 5, 7, Int.max] {
            let (one, other) = try SocketPair().take { first, second in
                (SocketLane(.control, over: first), SocketLane(.control, over: second))
            }
            let sender = ControlChannel(over: one)
            let receiver = ControlChannel(over: ChoppedLane(other, plan: [], rest: count))
            for body in Self.bodies { try sender.send(body) }
            for body in Self.bodies.map(\.name) {
                #expect(try receiver.receive(within: limit, atMost: most).name == body)
            }
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a message of several megabytes comes through`() throws {
        let (one, other) = try SocketPair().take { first, second in
            (SocketLane(.control, over: first), SocketLane(.control, over: second))
        }
        var hello = WireHello()
        hello.bootIdentity = String(repeating: "x", count: WireLimits.controlMessageByteCount - 20)
        let message = hello
        try whileThread {
            try? ControlChannel(over: one).send(.hello(message))
        } _: {
            let receiver = ControlChannel(over: other)
            guard case .hello(let received) = try receiver.receive(within: limit, atMost: most)
            else {
                Issue.record("another message")
                return
            }
            let isSame = received == message
            #expect(isSame)
        }
    }

    @Test(
        .timeLimit(.minutes(1)),
        arguments: [0, (4 << 20) + 1, 1 << 31, 4_294_967_295] as [UInt64]
    )
    func `a length out of bounds is refused at once, and costs no memory`(length: UInt64) throws {
        let pair = try LanePair()
        try pair.peer.send(Self.prefix(length))
        let before = Host.peakResidentBytes
        let start = MonotonicTime.now
        expect(.messageByteCount(length), at: 0, on: ControlChannel(over: pair.lane))
        #expect(MonotonicTime.now.nanoseconds(since: start) < 5_000_000_000)
        #expect(Host.peakResidentBytes - before < 64 << 20)
    }

    @Test(.timeLimit(.minutes(1)))
    func `what is announced but does not come is not allocated`() throws {
        // 100 peers that promise 4 MiB each would take 400 MiB.
        let before = Host.peakResidentBytes
        var pairs: [LanePair] = []
        for _ in 0..<100 {
            let pair = try LanePair()
            try pair.peer.send(Self.prefix(4 << 20) + [1, 2, 3])
            pair.peer.end()
            #expect(throws: MigrationError.lane(.closed(.control))) {
                try ControlChannel(over: pair.lane).receive(within: limit, atMost: most)
            }
            pairs.append(pair)
        }
        #expect(Host.peakResidentBytes - before < 64 << 20)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a message that is cut short is the end of the lane`() throws {
        let whole = try Self.encoded(.running(WireRunning()))
        for cut in 0..<whole.count {
            let pair = try LanePair()
            try pair.peer.send(Array(whole[..<cut]))
            pair.peer.end()
            #expect(throws: MigrationError.lane(.closed(.control)), "cut at \(cut)") {
                try ControlChannel(over: pair.lane).receive(within: limit, atMost: most)
            }
        }
    }

    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            "ff", "00", "0a", "0aff", "0a05 01", "0affffffffffffffffff01", "ffffffffffffffffffff",
            "08 01", "0a 00 07", "7a 03 0a 01 ff", "f8 07 01", "0c",
        ]
    )
    func `garbage and empty messages are refused at their offset`(digits: String) throws {
        let pair = try LanePair()
        let good = try Self.encoded(.running(WireRunning()))
        let bad = bytes(hexadecimal: digits)
        try pair.peer.send(good + Self.prefix(UInt64(bad.count)) + bad)
        let channel = ControlChannel(over: pair.lane)
        _ = try channel.receive(within: limit, atMost: most)
        expect(.message, at: good.count, on: channel)
    }

    @Test(.timeLimit(.minutes(1)))
    func `random bytes never crash it`() throws {
        let seed = TestSeed.next(for: "control messages")
        var random = SeededGenerator(seed: seed)
        for round in 0..<3000 {
            var bytes = (0..<Int.random(in: 1...60, using: &random)).map { _ in
                UInt8(truncatingIfNeeded: random.next())
            }
            // Half of them begin like a message that exists.
            if round % 2 == 0 { bytes[0] = UInt8.random(in: 1...15, using: &random) << 3 | 2 }
            if round % 2 == 0, bytes.count > 1 { bytes[1] = UInt8(bytes.count - 2) }
            let pair = try LanePair()
            try pair.peer.send(Self.prefix(UInt64(bytes.count)) + bytes)
            _ = try? ControlChannel(over: pair.lane).receive(within: limit, atMost: most)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `silence runs out of time`() throws {
        let pair = try LanePair()
        #expect(throws: MigrationError.lane(.timedOut(.control))) {
            try ControlChannel(over: pair.lane).receive(within: .milliseconds(30))
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a peer that drips bytes cannot stretch the time`() throws {
        let pair = try LanePair()
        let peer = pair.peer
        let isOver = FutexWord(0)
        try whileThread {
            try? peer.send(Self.prefix(1000))
            while isOver.value == 0 {
                try? peer.send([0])
                isOver.wait(while: 0, timeout: .milliseconds(20))
            }
        } _: {
            defer { isOver.store(1) }
            let start = MonotonicTime.now
            #expect(throws: MigrationError.lane(.timedOut(.control))) {
                try ControlChannel(over: pair.lane).receive(within: .milliseconds(200))
            }
            #expect(MonotonicTime.now.nanoseconds(since: start) < 5_000_000_000)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a peer's last words are cleaned of what plays tricks on a terminal`() throws {
        // Not as arguments, which are printed as they are.
        let table = [
            ("no memory", "no memory"),
            ("", ""),
            ("\u{1B}[31mred\u{7}\r\nnext\t\u{7F}\u{9B}2J\0end", "[31mrednext2Jend"),
            ("left\u{202E}right\u{2066}\u{2028}\u{200B}\u{FEFF}end", "leftrightend"),
            ("Gäste 客 🐦", "Gäste 客 🐦"),
        ]
        for (words, shown) in table {
            var abort = WireAbort()
            abort.reason = words
            let pair = try LanePair()
            try pair.peer.send(Self.encoded(.abort(abort)))
            #expect(throws: MigrationError.aborted(shown)) {
                try ControlChannel(over: pair.lane).receive(within: limit, atMost: most)
            }
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: ["a", "ü", "🐦"])
    func `a peer's last words are cut to 512 bytes`(letter: String) throws {
        var abort = WireAbort()
        abort.reason = String(repeating: letter, count: 100_000)
        let pair = try LanePair()
        let peer = pair.peer
        let message = try Self.encoded(.abort(abort))
        try whileThread {
            try? peer.send(message)
        } _: {
            do {
                _ = try ControlChannel(over: pair.lane).receive(within: limit, atMost: most)
                Issue.record("no abort")
            } catch {
                guard case .aborted(let text) = error as? MigrationError else {
                    Issue.record("\(error)")
                    return
                }
                #expect(text.utf8.count <= 512 && text.utf8.count > 500)
                #expect(text.allSatisfy { String($0) == letter })
            }
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `to abort towards a peer that has gone fails silently`() throws {
        let pair = try LanePair()
        pair.peer.end()
        ControlChannel(over: pair.lane).abort("nobody hears")
    }

    @Test(.timeLimit(.minutes(1)))
    func `an abort reaches the peer, cut and cleaned by the sender too`() throws {
        let (one, other) = try SocketPair().take { first, second in
            (SocketLane(.control, over: first), SocketLane(.control, over: second))
        }
        ControlChannel(over: one).abort("too\nlate")
        #expect(throws: MigrationError.aborted("toolate")) {
            try ControlChannel(over: other).receive(within: limit, atMost: most)
        }
    }

    private static func prefix(_ length: UInt64) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }
    }

    private static func encoded(_ body: WireControlMessage.OneOf_Body) throws -> [UInt8] {
        var message = WireControlMessage()
        message.body = body
        let bytes: [UInt8] = try message.serializedBytes()
        return prefix(UInt64(bytes.count)) + bytes
    }

    private func expect(_ defect: FrameDefect, at offset: Int, on channel: ControlChannel) {
        #expect(
            throws: MigrationError.lane(.violation(.control, offset: UInt64(offset), defect))
        ) {
            try channel.receive(within: limit, atMost: most)
        }
    }
}
