// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import MigrationWire
import Testing
import Transport

/// Both ends of a ring lane in this process, and a hand in their memory.
final class RingPair: Sendable {
    let source: RingLane
    let destination: RingLane
    let shape: RingShape
    /// The memory mapped once more: what a peer that keeps to no rules can reach.
    private let alias: Mapping

    /// - Parameters:
    ///   - toSourceBits: Logarithm of the ring to the source.
    ///   - toDestinationBits: Logarithm of the ring to the destination.
    /// - Throws: What the system refuses.
    init(toSourceBits: UInt8 = 12, toDestinationBits: UInt8 = 13) throws {
        guard
            let shape = RingShape(toSourceBits: toSourceBits, toDestinationBits: toDestinationBits)
        else { preconditionFailure("no such shape") }
        self.shape = shape
        let file = try RingMemory.file(for: shape)
        // One mapping for both, so that ThreadSanitizer sees what orders their accesses.
        let memory = try RingMemory(file, shape: shape)
        alias = try Mapping(.shared(file.descriptor.rawValue), byteCount: shape.byteCount)
        (destination, source) = try SocketPair().take { first, second in
            (
                RingLane(.urgent(3), over: first, memory: memory, as: .destination),
                RingLane(.urgent(3), over: second, memory: memory, as: .source)
            )
        }
    }

    /// The two ends, as one side sees them.
    func ends(mine side: RingSide) -> (mine: RingLane, theirs: RingLane) {
        side == .source ? (source, destination) : (destination, source)
    }

    /// A word anywhere in the memory.
    func word(at offset: Int) -> SharedWord {
        precondition(offset >= 0 && offset <= shape.byteCount - 4)
        return unsafe SharedWord(at: alias.base + offset)
    }

    /// Waits until the writer (2) or the reader (3) of a ring sleeps.
    func awaitSleeper(_ number: Int, ofRingFrom side: RingSide) throws {
        let deadline = MonotonicTime.now.advanced(by: .seconds(20))
        while word(number, ofRingFrom: side).value != 1 {
            try #require(MonotonicTime.now < deadline, "nobody went to sleep")
            yieldProcessor()
        }
    }

    /// A word of the head: 0 written, 1 read, 2 the writer's flag, 3 the reader's.
    func word(_ number: Int, ofRingFrom side: RingSide) -> SharedWord {
        word(at: (number + (side == .source ? 4 : 0)) * RingShape.wordStride)
    }
}

/// A ring lane, and the socket at its other end with nobody behind it.
final class LoneRing {
    let lane: RingLane
    /// Closed when this goes, as with a process that ended.
    var peer: Peer?

    init() throws {
        guard let shape = RingShape(toSourceBits: 12, toDestinationBits: 12) else {
            preconditionFailure("no such shape")
        }
        let memory = try RingMemory(RingMemory.file(for: shape), shape: shape)
        (lane, peer) = try SocketPair().take { first, second in
            (
                RingLane(.urgent(3), over: first, memory: memory, as: .destination),
                Peer(second)
            )
        }
    }
}

extension Lane {
    func send(_ bytes: [UInt8], _ body: [UInt8] = []) throws(LaneError) {
        let (head, tail) = (bytes.span, body.span)
        try unsafe head.withUnsafeBytes { head throws(LaneError) in
            try unsafe tail.withUnsafeBytes { tail throws(LaneError) in
                try unsafe send(head, tail)
            }
        }
    }

    /// What one receive brings, at most so many bytes.
    func receive(most: Int) throws(LaneError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: most)
        var span = bytes.mutableSpan
        let count = try unsafe span.withUnsafeMutableBytes { buffer throws(LaneError) in
            try unsafe receive(into: buffer)
        }
        return Array(bytes[..<count])
    }

    /// Exactly so many bytes.
    func receive(exactly count: Int) throws(LaneError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count { bytes += try receive(most: count - bytes.count) }
        return bytes
    }
}
