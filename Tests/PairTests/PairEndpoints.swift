// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import MigrationWire
import Synchronization
import Transport

/// Both ends of a session in one process: each connection is a socket pair.
final class PairEndpoints: Sendable {
    private final class Waiting: Sendable {
        private let socket = Mutex<Socket?>(nil)
        func put(_ new: consuming Socket) {
            var new: Socket? = consume new
            socket.withLock { $0 = new.take() }
        }
        func take() -> Socket? { socket.withLock { $0.take() } }
    }

    private let queue = Mutex<[Waiting]>([])
    private let arrival: EventFD
    private let fault: Mutex<LaneFault?>

    private let transport: TransportChoice

    init(fault: LaneFault? = nil, transport: TransportChoice) throws {
        self.transport = transport
        arrival = try EventFD()
        self.fault = Mutex(fault)
    }

    /// From now on lanes work.
    func mend() { fault.withLock { $0 = nil } }

    var peer: String { "pair" }

    func connect() throws(MigrationError) -> Socket {
        do {
            let mine = Waiting()
            try SocketPair().take { first, second in
                mine.put(first)
                let theirs = Waiting()
                theirs.put(second)
                queue.withLock { $0.append(theirs) }
            }
            arrival.signal()
            guard let socket = mine.take() else { throw MigrationError.stopped }
            return socket
        } catch let error as SystemError {
            throw .system(error)
        } catch {
            throw .stopped
        }
    }

    var rawDescriptors: [CInt] { [arrival.rawDescriptor] }

    func accept() throws(MigrationError) -> Socket? {
        let waiting = queue.withLock { list -> Waiting? in
            let first = list.isEmpty ? nil : list.removeFirst()
            if list.isEmpty { arrival.clear() }
            return first
        }
        return waiting?.take()
    }

    /// The destination's end, as its connector.
    var connector: some LaneConnector {
        FaultyConnector(endpoints: self, transport: transport, fault: fault.withLock { $0 })
    }
    /// The source's end, as its acceptor.
    var acceptor: some LaneAcceptor {
        FaultyAcceptor(endpoints: self, fault: fault.withLock { $0 })
    }
}

private struct FaultyConnector: LaneConnector {
    let endpoints: PairEndpoints
    let transport: TransportChoice
    let fault: LaneFault?

    var peer: String { endpoints.peer }
    func connect() throws(MigrationError) -> Socket { try endpoints.connect() }
    func lane(_ name: LaneName, over socket: consuming Socket, ring: RingMemory?) -> any Lane {
        FaultyLane(
            plainLane(name, over: socket, ring, as: .destination),
            side: .destination,
            fault
        )
    }
}

private struct FaultyAcceptor: LaneAcceptor {
    let endpoints: PairEndpoints
    let fault: LaneFault?

    var place: String { "faulty" }
    var rawDescriptors: [CInt] { endpoints.rawDescriptors }
    func accept() throws(MigrationError) -> Socket? { try endpoints.accept() }
    func lane(_ name: LaneName, over socket: consuming Socket, ring: RingMemory?) -> any Lane {
        FaultyLane(plainLane(name, over: socket, ring, as: .source), side: .source, fault)
    }
}

private func plainLane(
    _ name: LaneName,
    over socket: consuming Socket,
    _ ring: RingMemory?,
    as side: RingSide
) -> any Lane {
    guard let ring else { return SocketLane(name, over: socket) }
    return RingLane(name, over: socket, memory: ring, as: side)
}
