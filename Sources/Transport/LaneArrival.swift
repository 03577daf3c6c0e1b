// SPDX-License-Identifier: Apache-2.0

internal import LinuxSystem
package import MigrationWire

/// A lane that a destination has asked for and that has not been answered yet.
package struct LaneArrival: ~Copyable {
    /// What was asked for.
    package let preamble: LanePreamble
    private let socket: Socket
    private let descriptor: FileDescriptor?

    /// - Parameters:
    ///   - preamble: What was asked for.
    ///   - socket: What it came on.
    ///   - descriptor: What came with it.
    init(
        _ preamble: LanePreamble,
        on socket: consuming Socket,
        with descriptor: consuming FileDescriptor?
    ) {
        self.preamble = preamble
        self.socket = socket
        self.descriptor = descriptor
    }

    /// Refuses the lane.
    package consuming func refuse(_ verdict: LaneAnswer.Verdict) {
        LaneOpening.answer(LaneAnswer(verdict: verdict), on: socket)
    }

    /// Accepts the lane, over the rings that are offered if this host can map them.
    ///
    /// - Parameter acceptor: Makes the lane.
    /// - Returns: The lane, open. A peer that has gone is noticed on its first use.
    /// - Throws: `refused` when what came with the preamble is no memory for rings.
    package consuming func accept(
        through acceptor: some LaneAcceptor
    ) throws(MigrationError) -> any Lane {
        let ring: RingMemory?
        do {
            ring = try Self.ring(preamble.ring, in: descriptor)
        } catch {
            LaneOpening.answer(LaneAnswer(refusing: error), on: socket)
            throw .refused(error)
        }
        LaneOpening.answer(LaneAnswer(verdict: .accepted, takesRing: ring != nil), on: socket)
        let lane = acceptor.lane(preamble.lane, over: socket, ring: ring)
        do {
            try lane.limitBlocking(to: nil)
        } catch {
            throw .lane(error)
        }
        return lane
    }

    /// Maps the memory for rings; nil when none was offered or came, or it cannot be mapped here.
    ///
    /// A connection that is relayed carries the preamble and loses the descriptor.
    private static func ring(
        _ shape: RingShape?,
        in descriptor: consuming FileDescriptor?
    ) throws(RefusalReason) -> RingMemory? {
        guard let shape, let descriptor = consume descriptor else { return nil }
        guard let file = MemoryFile(verifying: descriptor, byteCount: shape.byteCount) else {
            throw .ringMemory
        }
        return try? RingMemory(file, shape: shape)
    }
}
