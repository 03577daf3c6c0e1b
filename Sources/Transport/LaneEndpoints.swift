// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem
package import MigrationWire

/// How a destination reaches a source.
package protocol LaneConnector: Sendable {
    /// Where it leads, for people.
    var peer: String { get }
    /// Opens one more connection, on which nothing has been said yet.
    func connect() throws(MigrationError) -> Socket
    /// Makes a connection a lane.
    func lane(_ name: LaneName, over socket: consuming Socket) -> any Lane
}

/// Where a source waits for a destination.
package protocol LaneAcceptor: Sendable {
    /// For a poll set: readable while a connection waits.
    var rawDescriptors: [CInt] { get }
    /// Takes a waiting connection, on which nothing has been said yet; nil when there is none.
    func accept() throws(MigrationError) -> Socket?
    /// Makes a connection a lane.
    func lane(_ name: LaneName, over socket: consuming Socket) -> any Lane
}

extension LaneConnector {
    /// A socket lane.
    package func lane(_ name: LaneName, over socket: consuming Socket) -> any Lane {
        SocketLane(name, over: socket)
    }
}

extension LaneAcceptor {
    /// A socket lane.
    package func lane(_ name: LaneName, over socket: consuming Socket) -> any Lane {
        SocketLane(name, over: socket)
    }
}
