// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import MigrationWire
import Synchronization
import Transport

/// A lane under test, and the socket at its other end, on which a test plays the peer.
struct LanePair {
    let lane: SocketLane
    let peer: Peer

    init(_ name: LaneName = .control) throws {
        (lane, peer) = try SocketPair().take { first, second in
            (SocketLane(name, over: first), Peer(second))
        }
    }
}

/// The other end of a lane: sends whatever a test likes.
final class Peer: Sendable {
    let socket: Socket

    init(_ socket: consuming Socket) { self.socket = socket }

    func send(_ bytes: [UInt8]) throws(SystemError) {
        let span = bytes.span
        try unsafe span.withUnsafeBytes { buffer throws(SystemError) in
            unsafe try socket.send(buffer, UnsafeRawBufferPointer(start: nil, count: 0))
        }
    }

    /// So many bytes, or fewer at the end of the stream.
    func receive(_ count: Int) throws(SystemError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            var span = bytes.mutableSpan
            let outcome = try unsafe span.withUnsafeMutableBytes { buffer throws(SystemError) in
                unsafe try socket.receive(into: .init(rebasing: buffer[done...]))
            }
            guard case .bytes(let more) = outcome else { break }
            done += more
        }
        return Array(bytes[..<done])
    }

    /// Ends the stream.
    func end() { socket.shutdown() }
}

/// A lane whose receives bring only so many bytes as a plan says.
final class ChoppedLane: Lane {
    private let lane: SocketLane
    private let plan: Mutex<[Int]>
    private let rest: Int

    /// - Parameters:
    ///   - lane: Where the bytes come from.
    ///   - plan: Bytes of the first receives.
    ///   - rest: Bytes of every one after them.
    init(_ lane: SocketLane, plan: [Int], rest: Int = .max) {
        self.lane = lane
        self.plan = Mutex(plan.reversed())
        self.rest = rest
    }

    var name: LaneName { lane.name }
    var carrier: LaneCarrier { lane.carrier }
    var rawDescriptor: CInt { lane.rawDescriptor }

    func send(_ header: UnsafeRawBufferPointer, _ body: UnsafeRawBufferPointer) throws(LaneError) {
        unsafe try lane.send(header, body)
    }

    func receive(into buffer: UnsafeMutableRawBufferPointer) throws(LaneError) -> Int {
        let most = plan.withLock { $0.popLast() } ?? rest
        return unsafe try lane.receive(into: .init(rebasing: buffer.prefix(most)))
    }

    func limitBlocking(to duration: Duration?) throws(LaneError) {
        try lane.limitBlocking(to: duration)
    }

    func shutdown() { lane.shutdown() }
}

/// Runs a thread while the caller does something else, and joins it either way.
func whileThread<Result>(
    _ body: @escaping @Sendable () -> Void,
    _ other: () throws -> Result
) throws -> Result {
    let thread = try Thread(name: "test-peer", body: body)
    do {
        let result = try other()
        thread.join()
        return result
    } catch {
        thread.join()
        throw error
    }
}
