// SPDX-License-Identifier: Apache-2.0

/// Sizes of the two byte rings of a ring lane, and where they lie in their shared memory.
///
/// Layout (PROTOCOL.md, "Ring lanes"): a head of 4096 bytes with the words of both rings, then the
/// bytes of the ring to the source, then those of the ring to the destination.
package struct RingShape: Hashable, Sendable {
    /// Logarithms to base 2 that a ring's size may have: 4 KiB to 1 MiB.
    package static let allowedBits: ClosedRange<UInt8> = 12...20
    /// Bytes of the head.
    package static let headByteCount = 4096
    /// Bytes between two words of the head: they never share a cache line, nor a pair of lines
    /// that is fetched together.
    package static let wordStride = 128

    /// The size of the ring to the source is 2 to the power of this.
    package let toSourceBits: UInt8
    /// The size of the ring to the destination is 2 to the power of this.
    package let toDestinationBits: UInt8

    /// Checks the sizes; nil unless both are in ``allowedBits``.
    package init?(toSourceBits: UInt8, toDestinationBits: UInt8) {
        guard Self.allowedBits.contains(toSourceBits),
            Self.allowedBits.contains(toDestinationBits)
        else { return nil }
        self.toSourceBits = toSourceBits
        self.toDestinationBits = toDestinationBits
    }

    /// What a destination offers for a lane; nil for the control lane, which stays on its socket.
    ///
    /// Requests are small, and many may be outstanding. A frame of pages fits whole.
    package static func offered(for lane: LaneName) -> RingShape? {
        switch lane {
        case .control: nil
        case .urgent: RingShape(toSourceBits: 14, toDestinationBits: 19)
        case .bulk: RingShape(toSourceBits: 12, toDestinationBits: 20)
        }
    }

    /// Bytes of the ring to the source, a power of two.
    package var toSourceByteCount: Int { 1 << Int(toSourceBits) }
    /// Bytes of the ring to the destination, a power of two.
    package var toDestinationByteCount: Int { 1 << Int(toDestinationBits) }
    /// Bytes of the whole shared memory.
    package var byteCount: Int {
        Self.headByteCount + toSourceByteCount + toDestinationByteCount
    }
}
