// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import MigrationWire
import Synchronization
import Transport

/// Both ends of a session in one process: each connection is a socket pair.
final class PairEndpoints: LaneConnector, LaneAcceptor {
    private final class Waiting: Sendable {
        let socket: Mutex<Socket?>
        init(_ socket: consuming Socket) { self.socket = Mutex(consume socket) }
    }

    private let queue = Mutex<[Waiting]>([])
    private let arrival: EventFD
    private let fault: LaneFault?

    init(fault: LaneFault? = nil) throws {
        arrival = try EventFD()
        self.fault = fault
    }

    var peer: String { "pair" }

    func connect() throws(MigrationError) -> Socket {
        do {
            let pair = try SocketPair()
            let waiting = Waiting(pair.second)
            queue.withLock { $0.append(waiting) }
            arrival.signal()
            return pair.first
        } catch {
            throw .system(error)
        }
    }

    var rawDescriptors: [CInt] { [arrival.rawDescriptor] }

    func accept() throws(MigrationError) -> Socket? {
        let waiting = queue.withLock { list -> Waiting? in
            let first = list.isEmpty ? nil : list.removeFirst()
            if list.isEmpty { arrival.clear() }
            return first
        }
        return waiting?.socket.withLock { $0.take() }
    }

    /// The destination's end, as its connector.
    var connector: some LaneConnector { FaultyConnector(endpoints: self, fault: fault) }
    /// The source's end, as its acceptor.
    var acceptor: some LaneAcceptor { FaultyAcceptor(endpoints: self, fault: fault) }
}

private struct FaultyConnector: LaneConnector {
    let endpoints: PairEndpoints
    let fault: LaneFault?

    var peer: String { endpoints.peer }
    func connect() throws(MigrationError) -> Socket { try endpoints.connect() }
    func lane(_ name: LaneName, over socket: consuming Socket) -> any Lane {
        FaultyLane(SocketLane(name, over: socket), side: .destination, fault)
    }
}

private struct FaultyAcceptor: LaneAcceptor {
    let endpoints: PairEndpoints
    let fault: LaneFault?

    var rawDescriptors: [CInt] { endpoints.rawDescriptors }
    func accept() throws(MigrationError) -> Socket? { try endpoints.accept() }
    func lane(_ name: LaneName, over socket: consuming Socket) -> any Lane {
        FaultyLane(SocketLane(name, over: socket), side: .source, fault)
    }
}
