// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory

/// Largest sizes on the wire.
///
/// A peer that goes beyond one has violated the protocol.
package enum WireLimits {
    /// Protocol version spoken here; both sides must speak the same.
    package static let version: UInt16 = 6
    /// Bytes of any encoded control message.
    package static let controlMessageByteCount = 4 << 20
    /// Bytes of a source's welcome, which holds the description of a machine.
    package static let welcomeByteCount = 1 << 16
    /// Bytes of a saved state.
    ///
    /// - Parameter vCPUCount: vCPUs that the machine is known to have.
    /// - Returns: Room for several times what they need.
    package static func stateByteCount(vCPUCount: Int) -> Int {
        min(controlMessageByteCount, (1 << 16) + vCPUCount << 15)
    }
    /// Bytes of the bits in one list of pages to discard: pages of 1 GiB.
    package static let discardByteCount = 1 << 15
    /// Precopy rounds of a migration, one in the pause included.
    package static let precopyRounds = 65
    /// Pages of the guest's kernel that are sent ahead: 32 MiB, where kernels take some 25.
    package static let kernelPages = 1 << 13
    /// The lowest cap on precopy rounds: with less, a frame takes longer than a peer waits for it.
    package static let leastPrecopyBytesPerSecond: UInt64 = 1 << 16
    /// Pages, or requests, in one frame.
    package static let entriesPerFrame = 64
    /// Pages that one request may stand for: a huge page of 2 MiB.
    package static let pagesPerRequest = 512
    /// Bytes of page contents in one frame.
    package static let payloadByteCount = entriesPerFrame * GuestPage.byteCount
    /// Bytes of a whole frame.
    package static let frameByteCount =
        FrameHeader.byteCount + entriesPerFrame * PageEntry.byteCount + payloadByteCount
    /// Lanes of one kind in a session: one for each vCPU, and as many for fault readers.
    package static let lanesOfAKind = 128
    /// Bytes of the reason in an abort that are shown.
    package static let reasonByteCount = 512
}
