// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LinuxSystem
import MigrationWire
import Synchronization
import TestSupport
import Testing
import Transport

/// A real source's acceptor and connector in a folder of their own.
private final class Endpoints {
    private let directory = TemporaryDirectory()
    let acceptor: SocketAcceptor

    init() throws {
        acceptor = try SocketAcceptor(addresses: [.unix(path: directory.file("socket"))])
    }

    func connector(_ transport: TransportChoice = .auto) -> SocketConnector {
        SocketConnector(address: acceptor.addresses[0], transport: transport)
    }

    /// Opens a lane from both sides.
    func open(_ transport: TransportChoice) throws -> (near: any Lane, far: any Lane) {
        let far = Mutex<(any Lane)?>(nil)
        let near = try whileThread { [acceptor] in
            let lane = try? accept(from: acceptor)
            far.withLock { $0 = lane }
        } _: {
            try LaneOpening.open(.urgent(1), key: .random(), through: connector(transport))
        }
        return (near, try #require(far.withLock { $0 }))
    }
}

/// Accepts the lane that comes next.
private func accept(from acceptor: SocketAcceptor) throws -> any Lane {
    switch try nextArrival(in: Lobby(of: acceptor)) {
    case .lane(let arrival): return try arrival.accept(through: acceptor)
    case .refused(let reason): throw MigrationError.refused(reason)
    case .silent: throw MigrationError.stopped
    }
}

@Suite(.timeLimit(.minutes(1))) struct RingOpeningTests {
    private static let shape = RingShape.offered(for: .urgent(1))

    @Test(arguments: [
        (TransportChoice.auto, LaneCarrier.ring), (.ring, .ring), (.socket, .socket),
    ])
    func `a Unix socket opens what was chosen`(
        transport: TransportChoice,
        carrier: LaneCarrier
    ) throws {
        let (near, far) = try Endpoints().open(transport)
        #expect(near.carrier == carrier)
        #expect(far.carrier == carrier)
        try near.send([1, 2], [3])
        #expect(try far.receive(exactly: 3) == [1, 2, 3])
        try far.send([4], [5, 6])
        #expect(try near.receive(exactly: 3) == [4, 5, 6])
        far.shutdown()
        #expect(throws: LaneError.closed(.urgent(1))) { try near.receive(most: 1) }
    }

    @Test func `over TCP auto means the socket`() {
        let address = SocketAddress.tcp(host: "127.0.0.1", port: 1)
        #expect(SocketConnector(address: address).transport == .socket)
        #expect(SocketConnector(address: .unix(path: "/x")).transport == .auto)
    }

    @Test func `the control lane stays on its socket`() throws {
        let endpoints = try Endpoints()
        try whileThread { [acceptor = endpoints.acceptor] in
            #expect((try? accept(from: acceptor))?.carrier == .socket)
        } _: {
            let lane = try LaneOpening.open(
                .control,
                key: .none,
                through: endpoints.connector(.ring)
            )
            #expect(lane.carrier == .socket)
        }
    }

    @Test func `an offer whose memory was lost on the way becomes a socket lane`() throws {
        let endpoints = try Endpoints()
        try whileThread { [acceptor = endpoints.acceptor] in
            #expect((try? accept(from: acceptor))?.carrier == .socket)
        } _: {
            let peer = Peer(try endpoints.connector().connect())
            try peer.send(preamble())
            let answer = try peer.receive(16)
            #expect(answer[10...11] == [0, 0])
        }
    }

    @Test(arguments: [(TransportChoice.auto, true), (.ring, false)])
    func `a source that takes no rings is told from one that does`(
        transport: TransportChoice,
        opens: Bool
    ) throws {
        let endpoints = try Endpoints()
        try whileThread { [acceptor = endpoints.acceptor] in
            answer(LaneAnswer(verdict: .accepted), from: acceptor)
        } _: {
            let connector = endpoints.connector(transport)
            guard !opens else {
                let lane = try LaneOpening.open(.urgent(1), key: .random(), through: connector)
                #expect(lane.carrier == .socket)
                return
            }
            #expect(throws: MigrationError.refused(.noRing)) {
                _ = try LaneOpening.open(.urgent(1), key: .random(), through: connector)
            }
        }
    }

    @Test func `rings that were not offered cannot be taken`() throws {
        let endpoints = try Endpoints()
        try whileThread { [acceptor = endpoints.acceptor] in
            answer(LaneAnswer(verdict: .accepted, takesRing: true), from: acceptor)
        } _: {
            _ = #expect(throws: MigrationError.refused(.reservedBits)) {
                _ = try LaneOpening.open(
                    .urgent(1),
                    key: .random(),
                    through: endpoints.connector(.socket)
                )
            }
        }
    }

    @Test(arguments: BadMemory.allCases)
    func `memory that could be cut short, or is none, is refused`(memory: BadMemory) throws {
        let endpoints = try Endpoints()
        let shape = try #require(Self.shape)
        try whileThread { [acceptor = endpoints.acceptor] in
            #expect(throws: MigrationError.refused(.ringMemory)) { _ = try accept(from: acceptor) }
        } _: {
            let peer = Peer(try endpoints.connector().connect())
            let descriptor = try memory.descriptor(for: shape)
            let bytes = preamble()
            let span = bytes.span
            try unsafe span.withUnsafeBytes { buffer throws(SystemError) in
                unsafe try peer.socket.send(buffer, passing: descriptor)
            }
            let answer = try peer.receive(16)
            #expect(answer[10...11] == [2, 0])
        }
    }

    /// What a hostile destination may hand over.
    enum BadMemory: String, CaseIterable {
        case unsealed, small, large, empty, file, device, event

        func descriptor(for shape: RingShape) throws -> FileDescriptor {
            let size = shape.byteCount
            switch self {
            case .unsealed:
                let fd = FileDescriptor(owning: unsafe clinux_memfd_create("bad"))
                try #require(ftruncate(fd.rawValue, size) == 0)
                return fd
            case .small: return try sealed(byteCount: size - 4096)
            case .large: return try sealed(byteCount: size + 4096)
            case .empty: return try sealed(byteCount: 0)
            case .file: return try FileDescriptor(opening: "/proc/self/exe", flags: O_RDONLY)
            case .device: return try FileDescriptor(opening: "/dev/zero", flags: O_RDWR)
            case .event: return FileDescriptor(owning: clinux_eventfd())
            }
        }

        private func sealed(byteCount: Int) throws -> FileDescriptor {
            let fd = FileDescriptor(owning: unsafe clinux_memfd_create("bad"))
            try #require(ftruncate(fd.rawValue, byteCount) == 0)
            try #require(clinux_seal_size(fd.rawValue) == 0)
            return fd
        }
    }

    private func preamble() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: LanePreamble.byteCount)
        let preamble = LanePreamble(lane: .urgent(1), key: .random(), ring: Self.shape)
        unsafe bytes.withUnsafeMutableBytes { unsafe preamble.write(to: $0) }
        return bytes
    }
}

/// Answers the next preamble, whatever it says.
private func answer(_ answer: LaneAnswer, from acceptor: SocketAcceptor) {
    _ = try? waitUntilReadable(acceptor.rawDescriptors, timeout: .seconds(20))
    guard let socket = try? acceptor.accept() else { return }
    let peer = Peer(socket)
    _ = try? peer.receive(32)
    LaneOpening.answer(answer, on: peer.socket)
    // Until the other side has read it.
    _ = try? peer.receive(1)
}
