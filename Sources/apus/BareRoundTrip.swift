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
        let (near, far) = try medium.connected { (BareSocket($0), BareSocket($1)) }
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

    init(_ socket: consuming Socket) { self.socket = socket }

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
            guard case .bytes(let more) = unsafe try socket.receive(into: rest) else {
                throw SystemError(code: 104, operation: "recv")
            }
            done += more
        }
    }
}
