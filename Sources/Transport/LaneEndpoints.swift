// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem
package import MigrationWire

/// How a destination reaches a source.
package protocol LaneConnector: Sendable {
    /// Where it leads, for people.
    var peer: String { get }
    /// What page lanes are to be carried by.
    var transport: TransportChoice { get }
    /// Opens one more connection, on which nothing has been said yet.
    func connect() throws(MigrationError) -> Socket
    /// Makes a connection a lane, over rings if there are any.
    func lane(_ name: LaneName, over socket: consuming Socket, ring: RingMemory?) -> any Lane
}

/// Where a source waits for a destination.
package protocol LaneAcceptor: Sendable {
    /// Where it waits, for people.
    var place: String { get }
    /// For a poll set: readable while a connection waits.
    var rawDescriptors: [CInt] { get }
    /// Takes a waiting connection, on which nothing has been said yet; nil when there is none.
    func accept() throws(MigrationError) -> Socket?
    /// Makes a connection a lane, over rings if there are any.
    func lane(_ name: LaneName, over socket: consuming Socket, ring: RingMemory?) -> any Lane
}

extension LaneConnector {
    /// A ring lane, or a socket lane.
    package func lane(
        _ name: LaneName,
        over socket: consuming Socket,
        ring: RingMemory?
    ) -> any Lane {
        guard let ring else { return SocketLane(name, over: socket) }
        return RingLane(name, over: socket, memory: ring, as: .destination)
    }
}

extension LaneAcceptor {
    /// A ring lane, or a socket lane.
    package func lane(
        _ name: LaneName,
        over socket: consuming Socket,
        ring: RingMemory?
    ) -> any Lane {
        guard let ring else { return SocketLane(name, over: socket) }
        return RingLane(name, over: socket, memory: ring, as: .source)
    }
}
