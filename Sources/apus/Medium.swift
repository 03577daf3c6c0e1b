// SPDX-License-Identifier: Apache-2.0

internal import LinuxSystem
internal import MigrationWire
internal import Transport

/// What carries the bytes between two threads of this process.
enum Medium: String, CaseIterable {
    /// Rings in shared memory.
    case ring
    /// A pair of Unix sockets.
    case unix
    /// A TCP connection over the loopback interface.
    case tcp

    /// Two sockets, connected with each other.
    ///
    /// - Parameter use: Takes both ends.
    /// - Returns: What `use` makes of them.
    /// - Throws: ``SystemError`` of the sockets.
    func connected<Ends>(
        _ use: (consuming Socket, consuming Socket) -> Ends
    ) throws(SystemError) -> Ends {
        guard self == .tcp else { return try SocketPair().take(use) }
        let listener = try ListeningSocket(on: .tcp(host: "127.0.0.1", port: 0))
        let first = try Socket.connect(to: listener.address)
        var second = try listener.accept()
        while second == nil {
            yieldProcessor()
            second = try listener.accept()
        }
        guard let second = second.take() else { preconditionFailure("no connection") }
        return use(first, second)
    }
}

/// Both ends of a page lane.
struct LaneEnds: Sendable {
    let source: any Lane
    let destination: any Lane

    /// Opens the lane as a session would, without the exchange before it.
    init(_ name: LaneName, over medium: Medium) throws {
        var memory: RingMemory?
        if medium == .ring, let shape = RingShape.offered(for: name) {
            memory = try RingMemory(RingMemory.file(for: shape), shape: shape)
        }
        (source, destination) = try medium.connected { first, second -> (any Lane, any Lane) in
            guard let memory else {
                return (SocketLane(name, over: first), SocketLane(name, over: second))
            }
            return (
                RingLane(name, over: first, memory: memory, as: .source),
                RingLane(name, over: second, memory: memory, as: .destination)
            )
        }
        for lane in [source, destination] { try lane.limitBlocking(to: .seconds(10)) }
    }

    /// Ends both.
    func shutdown() {
        source.shutdown()
        destination.shutdown()
    }
}
