// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import MigrationWire
import Synchronization
import TestSupport
import Testing
import Transport

/// Hands out one end of a socket pair, once.
private final class OneConnection: LaneConnector {
    private let socket = Mutex<Socket?>(nil)
    let other: Peer

    init() throws {
        let ends = Mutex<Socket?>(nil)
        other = try SocketPair().take { first, second in
            var first: Socket? = consume first
            ends.withLock { $0 = first.take() }
            return Peer(second)
        }
        socket.withLock { mine in
            ends.withLock { mine = $0.take() }
        }
    }

    var peer: String { "test" }
    var transport: TransportChoice { .socket }

    func connect() throws(MigrationError) -> Socket {
        guard let socket = socket.withLock({ $0.take() }) else { throw .stopped }
        return socket
    }
}

/// Accepts a connection, once.
private struct OneVisitor: LaneAcceptor {
    let connector: OneConnection

    var place: String { "test" }
    var rawDescriptors: [CInt] { [] }
    func accept() throws(MigrationError) -> Socket? { try? connector.connect() }
}

@Suite struct LaneOpeningTests {
    private let key = SessionKey.random()

    @Test(.timeLimit(.minutes(1)), arguments: [LaneName.control, .urgent(7), .bulk(127)])
    func `an accepted lane is open for good`(name: LaneName) throws {
        let connector = try OneConnection()
        let other = connector.other
        let expected = LanePreamble(lane: name, key: key)
        let lane = try whileThread {
            let preamble = try? other.receive(32)
            #expect(preamble == preambleBytes(expected))
            try? other.send(answerBytes(LaneAnswer(verdict: .accepted)))
        } _: {
            try LaneOpening.open(name, key: key, through: connector)
        }
        #expect(lane.name == name)
        // No bound from the opening is left over: that would show after five seconds only, so
        // the lane is at least used once.
        try other.send([1])
        var reader = [UInt8](repeating: 0, count: 4)
        let count = try unsafe reader.withUnsafeMutableBytes { unsafe try lane.receive(into: $0) }
        #expect(count == 1)
    }

    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            (LaneAnswer(verdict: .wrongVersion, version: 9), RefusalReason.version(found: 9)),
            (LaneAnswer(verdict: .busy), .busy),
            (LaneAnswer(verdict: .refused), .machine("the source refused the urgent lane 2")),
            (LaneAnswer(verdict: .accepted, version: 9), .version(found: 9)),
        ]
    )
    func `an answer that is no welcome is a refusal with its reason`(
        answer: LaneAnswer,
        reason: RefusalReason
    ) throws {
        let connector = try OneConnection()
        try connector.other.send(answerBytes(answer))
        #expect(throws: MigrationError.refused(reason)) {
            _ = try LaneOpening.open(.urgent(2), key: key, through: connector)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a refusal sent before the preamble came is heard`() throws {
        // A source that is busy answers and closes without having read a byte.
        let connector = try OneConnection()
        try connector.other.send(answerBytes(LaneAnswer(verdict: .busy)))
        connector.other.end()
        #expect(throws: MigrationError.refused(.busy)) {
            _ = try LaneOpening.open(.control, key: .none, through: connector)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `other programs are told from a source`() throws {
        let connector = try OneConnection()
        try connector.other.send(Array("HTTP/1.1 400 Bad Request\r\n".utf8))
        do {
            _ = try LaneOpening.open(.control, key: .none, through: connector)
            Issue.record("it opened")
        } catch {
            #expect("\(error)".contains("magic"))
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a source that closes is closed, not waited for`() throws {
        let connector = try OneConnection()
        connector.other.end()
        #expect(throws: MigrationError.lane(.closed(.bulk(1)))) {
            _ = try LaneOpening.open(.bulk(1), key: key, through: connector)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a source that says nothing runs out of time`() throws {
        let connector = try OneConnection()
        let start = MonotonicTime.now
        #expect(throws: MigrationError.lane(.timedOut(.control))) {
            _ = try LaneOpening.open(.control, key: .none, through: connector)
        }
        #expect(MonotonicTime.now.nanoseconds(since: start) < 9_000_000_000)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a preamble is taken, and its connection handed over`() throws {
        let connector = try OneConnection()
        let preamble = LanePreamble(lane: .bulk(4), key: key)
        try connector.other.send(preambleBytes(preamble))
        switch try nextArrival(in: Lobby(of: OneVisitor(connector: connector))) {
        case .lane(let arrival):
            #expect(arrival.preamble == preamble)
            arrival.refuse(.busy)
            let answer = try connector.other.receive(16)
            #expect(answer == answerBytes(LaneAnswer(verdict: .busy)))
        case .refused(let reason): Issue.record("refused: \(reason)")
        case .silent: Issue.record("silent")
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a destination of another version is told ours, and both are named`() throws {
        let connector = try OneConnection()
        let preamble = LanePreamble(lane: .control, version: 1, key: .none)
        try connector.other.send(preambleBytes(preamble))
        let reason = try refusal(from: connector)
        #expect(reason == .version(found: 1))
        #expect(reason?.description == "protocol version differs: here 6, there 1")
        let answer = answerBytes(LaneAnswer(verdict: .wrongVersion, version: 6))
        #expect(try connector.other.receive(16) == answer)
    }

    @Test(.timeLimit(.minutes(1)))
    func `garbage is refused, and told so`() throws {
        let connector = try OneConnection()
        try connector.other.send([UInt8](repeating: 0x47, count: 32))
        #expect(try refusal(from: connector) == .magic(found: 0x4747_4747_4747_4747))
        #expect(try connector.other.receive(16) == answerBytes(LaneAnswer(verdict: .refused)))
    }

    @Test(.timeLimit(.minutes(1)), arguments: [0, 1, 31])
    func `a destination that goes in between is silent`(count: Int) throws {
        let connector = try OneConnection()
        try connector.other.send([UInt8](repeating: 0x41, count: count))
        connector.other.end()
        #expect(try isSilent(connector))
    }

    @Test(.timeLimit(.minutes(1)))
    func `a destination that drips its preamble cannot hold the source up`() throws {
        let connector = try OneConnection()
        let other = connector.other
        let isOver = FutexWord(0)
        try whileThread {
            for byte in preambleBytes(LanePreamble(lane: .control, key: .none)) {
                try? other.send([byte])
                isOver.wait(while: 0, timeout: .seconds(1))
                if isOver.value != 0 { return }
            }
        } _: {
            let start = MonotonicTime.now
            let isSilent = try isSilent(connector)
            #expect(isSilent)
            #expect(MonotonicTime.now.nanoseconds(since: start) < 9_000_000_000)
            isOver.store(1)
        }
    }

    private func refusal(from connector: OneConnection) throws -> RefusalReason? {
        switch try nextArrival(in: Lobby(of: OneVisitor(connector: connector))) {
        case .refused(let reason): reason
        case .lane: nil
        case .silent: nil
        }
    }

    private func isSilent(_ connector: OneConnection) throws -> Bool {
        switch try nextArrival(in: Lobby(of: OneVisitor(connector: connector))) {
        case .silent: true
        case .lane: false
        case .refused: false
        }
    }
}

private func preambleBytes(_ preamble: LanePreamble) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: LanePreamble.byteCount)
    unsafe bytes.withUnsafeMutableBytes { unsafe preamble.write(to: $0) }
    return bytes
}

private func answerBytes(_ answer: LaneAnswer) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: LaneAnswer.byteCount)
    unsafe bytes.withUnsafeMutableBytes { unsafe answer.write(to: $0) }
    return bytes
}
