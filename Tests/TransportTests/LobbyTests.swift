// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import MigrationWire
import TestSupport
import Testing
import Transport

/// Waits for the next connection that says what it is, or does not say it in time.
func nextArrival(in lobby: Lobby) throws -> LaneOpening.Arrival {
    while true {
        if let arrival = try lobby.next() { return arrival }
        _ = try waitUntilReadable(lobby.rawDescriptors, timeout: lobby.patience)
    }
}

@Suite(.timeLimit(.minutes(1))) struct LobbyTests: ~Copyable {
    private let directory = TemporaryDirectory()
    private let lobby: Lobby
    private let address: SocketAddress

    init() throws {
        address = .unix(path: directory.file("socket"))
        lobby = Lobby(of: try SocketAcceptor(addresses: [address]))
    }

    private func stranger() throws -> Peer { Peer(try Socket.connect(to: address)) }

    private func visitor(_ name: LaneName) throws -> Peer {
        let peer = try stranger()
        var bytes = [UInt8](repeating: 0, count: LanePreamble.byteCount)
        let preamble = LanePreamble(lane: name, key: .random())
        unsafe bytes.withUnsafeMutableBytes { unsafe preamble.write(to: $0) }
        try peer.send(bytes)
        return peer
    }

    /// The lane that comes next; nil for a connection that said nothing.
    private func nextLane() throws -> LaneName? {
        switch try nextArrival(in: lobby) {
        case .lane(let lane): return lane.preamble.lane
        case .refused(let reason): throw MigrationError.refused(reason)
        case .silent: return nil
        }
    }

    @Test func `who says nothing holds up nobody, and is dropped in the end`() throws {
        let start = MonotonicTime.now
        let silent = try [stranger(), stranger()]
        try silent[1].send([0x41])
        let peers = try [visitor(.control), visitor(.bulk(3))]
        #expect(try nextLane() == .control)
        #expect(try nextLane() == .bulk(3))
        #expect(MonotonicTime.now.nanoseconds(since: start) < 3_000_000_000)
        #expect(try nextLane() == nil)
        #expect(try nextLane() == nil)
        #expect(MonotonicTime.now.nanoseconds(since: start) < 9_000_000_000)
        let isOver = try lobby.next() == nil
        #expect(isOver)
        withExtendedLifetime((silent, peers)) {}
    }

    @Test func `a crowd that says nothing loses its oldest, and not who speaks`() throws {
        let crowd = try (0..<Lobby.mostVisitors + 3).map { _ in try stranger() }
        let peer = try visitor(.urgent(1))
        let start = MonotonicTime.now
        var dropped = 0
        while true {
            guard let lane = try nextLane() else {
                dropped += 1
                continue
            }
            #expect(lane == .urgent(1))
            break
        }
        #expect(dropped == 4)
        #expect(MonotonicTime.now.nanoseconds(since: start) < 3_000_000_000)
        withExtendedLifetime((crowd, peer)) {}
    }

    @Test func `all that wait are turned away at once`() throws {
        let silent = try stranger()
        let nobody = try lobby.next() == nil
        #expect(nobody)
        let late = try stranger()
        lobby.turnAway(.busy)
        for peer in [silent, late] { #expect(try peer.receive(16)[10] == 3) }
    }
}
