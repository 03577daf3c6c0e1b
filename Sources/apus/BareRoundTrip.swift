// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem

/// Round trips of the same bytes over the same medium, with nothing around them.
enum BareRoundTrip {
    /// Bytes of a request, and of what comes before the page in an answer.
    static let headByteCount = 48
    static let answerByteCount = headByteCount + GuestPage.byteCount

    /// Nanoseconds of one.
    static func nanoseconds(over medium: Medium, trips: Int) throws -> Double {
        if medium == .ring {
            let memory = try SharedPingPong()
            return try RoundTrip.nanoseconds(
                SharedAsker(memory),
                trips: trips,
                answer: { count in
                    let own = try Mapping(.anonymous, byteCount: 2 * GuestPage.byteCount)
                    for _ in 0..<count { unsafe try memory.answer(own.base) }
                },
                end: {}
            )
        }
        // Whichever way of waiting is the faster one here.
        return try min(
            socketNanoseconds(over: medium, trips: trips, isLooking: false),
            socketNanoseconds(over: medium, trips: trips, isLooking: true)
        )
    }

    /// The same over sockets.
    ///
    /// - Parameters:
    ///   - medium: What carries the bytes.
    ///   - trips: Round trips.
    ///   - isLooking: Whether who waits looks again and again, and does not sleep.
    /// - Returns: Nanoseconds of one.
    /// - Throws: What this host lacks.
    private static func socketNanoseconds(
        over medium: Medium,
        trips: Int,
        isLooking: Bool
    ) throws -> Double {
        let (near, far) = try medium.connected {
            (BareSocket($0, isLooking: isLooking), BareSocket($1, isLooking: isLooking))
        }
        for end in [near, far] { try end.socket.limitBlocking(to: .seconds(10)) }
        return try RoundTrip.nanoseconds(
            SocketAsker(near),
            trips: trips,
            answer: { count in
                let own = try Mapping(.anonymous, byteCount: 2 * GuestPage.byteCount)
                for _ in 0..<count {
                    unsafe try far.receive(headByteCount, to: own.base)
                    unsafe try far.send(answerByteCount, from: own.base)
                }
            },
            end: {
                near.socket.shutdown()
                far.socket.shutdown()
            }
        )
    }
}

private struct SharedAsker: Asker, ~Copyable {
    private let memory: SharedPingPong
    private let own: Mapping

    init(_ memory: SharedPingPong) throws {
        self.memory = memory
        own = try Mapping(.anonymous, byteCount: 2 * GuestPage.byteCount)
    }

    mutating func ask() throws { unsafe try memory.ask(own.base) }
}

private struct SocketAsker: Asker, ~Copyable {
    private let socket: BareSocket
    private let own: Mapping

    init(_ socket: BareSocket) throws {
        self.socket = socket
        own = try Mapping(.anonymous, byteCount: 2 * GuestPage.byteCount)
    }

    mutating func ask() throws {
        unsafe try socket.send(BareRoundTrip.headByteCount, from: own.base)
        unsafe try socket.receive(BareRoundTrip.answerByteCount, to: own.base)
    }
}

/// One end of a connection, without frames.
private final class BareSocket: Sendable {
    let socket: Socket
    private let isLooking: Bool

    init(_ socket: consuming Socket, isLooking: Bool) {
        self.socket = socket
        self.isLooking = isLooking
    }

    @unsafe func send(_ byteCount: Int, from start: UnsafeMutableRawPointer) throws(SystemError) {
        let bytes = unsafe UnsafeRawBufferPointer(start: start, count: byteCount)
        unsafe try socket.send(bytes, .init(start: nil, count: 0))
    }

    @unsafe func receive(_ byteCount: Int, to start: UnsafeMutableRawPointer) throws(SystemError) {
        var done = 0
        while done < byteCount {
            let rest = unsafe UnsafeMutableRawBufferPointer(
                start: start + done,
                count: byteCount - done
            )
            var outcome = isLooking ? unsafe try socket.receiveNow(into: rest) : nil
            var looks = 1
            while isLooking && outcome == nil && looks < Self.mostLooks {
                yieldProcessor()
                outcome = unsafe try socket.receiveNow(into: rest)
                looks += 1
            }
            if outcome == nil { outcome = unsafe try socket.receive(into: rest) }
            guard case .bytes(let more) = outcome else {
                throw SystemError(code: 104, operation: "recv")
            }
            done += more
        }
    }

    /// More than an answer takes; then it has been lost with its sender, and the socket's limit
    /// ends the wait.
    private static let mostLooks = 10_000
}
