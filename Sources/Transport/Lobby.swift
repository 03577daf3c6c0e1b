// SPDX-License-Identifier: Apache-2.0

private import Glibc
internal import LinuxSystem
package import MigrationWire

/// Connections that have been accepted, until they have said which lane they are to be.
///
/// For one thread, which waits for all of them at once, and for whatever else it has to: who says
/// nothing holds up neither it nor those that come later.
package final class Lobby {
    /// Where connections come from.
    package let acceptor: any LaneAcceptor
    private var visitors: [Visitor] = []

    /// Connections that wait at most; one more, and the oldest has had its time.
    package static let mostVisitors = 16

    /// - Parameter acceptor: Where connections come from.
    package init(of acceptor: any LaneAcceptor) {
        self.acceptor = acceptor
    }

    /// For a poll set: readable when `next()` has something to do.
    package var rawDescriptors: [CInt] {
        acceptor.rawDescriptors + visitors.map(\.rawDescriptor)
    }

    /// After which time `next()` has something to do at the latest; nil when nobody waits.
    package var patience: Duration? { visitors.map(\.deadline.remaining).min() }

    /// Takes what has come meanwhile, and one connection that is new; never waits.
    ///
    /// - Returns: A connection of which all is known; nil when there is none.
    /// - Throws: What this host lacks to accept a connection.
    package func next() throws(MigrationError) -> LaneOpening.Arrival? {
        // First those that are here: who cannot take another one in may have too many.
        if let arrival = try listen() { return arrival }
        guard let socket = try acceptor.accept() else { return nil }
        visitors.append(Visitor(socket))
        return try listen()
    }

    /// Turns away the next connection, and all that have not said what they are.
    package func turnAway(_ reason: RefusalReason) {
        if let socket = try? acceptor.accept() { visitors.append(Visitor(socket)) }
        for visitor in visitors { visitor.turnAway(reason) }
        visitors = []
    }

    private func listen() throws(MigrationError) -> LaneOpening.Arrival? {
        let ready: [Bool]
        do {
            ready = try waitUntilReadable(visitors.map(\.rawDescriptor), timeout: .zero)
        } catch {
            throw .system(error)
        }
        for (index, visitor) in visitors.enumerated() {
            if ready[index], let arrival = visitor.listen() {
                visitors.remove(at: index)
                return arrival
            }
            if visitor.deadline.remaining <= .zero || visitors.count > Self.mostVisitors {
                visitors.remove(at: index)
                return .silent
            }
        }
        return nil
    }
}

/// One connection, and what has come of its preamble.
private final class Visitor {
    /// When its time is over: who drips its bytes gains none.
    let deadline = MonotonicTime.now.advanced(by: LaneOpening.limit)
    private var socket: Socket?
    private var bytes: [UInt8] = []
    private var passed: FileDescriptor?

    init(_ socket: consuming Socket) {
        // A socket that was readable may be so no longer, and is not to be waited for.
        try? socket.limitBlocking(to: .milliseconds(1))
        self.socket = consume socket
    }

    var rawDescriptor: CInt { socket?.rawDescriptor ?? -1 }

    /// Takes what has come, of a socket that is readable.
    ///
    /// - Returns: What there is to know, once all has come; nil before.
    func listen() -> LaneOpening.Arrival? {
        do {
            try receive()
        } catch {
            return error.code == EAGAIN ? nil : .silent
        }
        guard bytes.count == LanePreamble.byteCount else { return nil }
        guard let socket = socket.take() else { return .silent }
        return LaneOpening.arrival(bytes, on: socket, with: passed.take())
    }

    /// Turns it away, whatever it was to be.
    func turnAway(_ reason: RefusalReason) {
        guard let socket = socket.take() else { return }
        LaneOpening.answer(LaneAnswer(refusing: reason), on: socket)
    }

    private func receive() throws(SystemError) {
        var piece = InlineArray<32, UInt8>(repeating: 0)
        let room = LanePreamble.byteCount - bytes.count
        var span = piece.mutableSpan
        let outcome = try unsafe span.withUnsafeMutableBytes { buffer throws(SystemError) in
            unsafe try socket?.receive(into: .init(rebasing: buffer[..<room]), accepting: &passed)
        }
        guard case .bytes(let more) = outcome else {
            throw SystemError(code: ECONNRESET, operation: "recvmsg")
        }
        for index in 0..<more { bytes.append(piece[index]) }
    }
}
