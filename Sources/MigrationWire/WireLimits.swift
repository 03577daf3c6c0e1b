// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory

/// Largest sizes on the wire.
///
/// A peer that goes beyond one has violated the protocol.
package enum WireLimits {
    /// Protocol version spoken here; both sides must speak the same.
    package static let version: UInt16 = 1
    /// Bytes of an encoded control message: the saved state of 64 vCPUs fits several times.
    package static let controlMessageByteCount = 4 << 20
    /// Pages, or requests, in one frame.
    package static let entriesPerFrame = 64
    /// Bytes of page contents in one frame.
    package static let payloadByteCount = entriesPerFrame * GuestPage.byteCount
    /// Bytes of a whole frame.
    package static let frameByteCount =
        FrameHeader.byteCount + entriesPerFrame * PageEntry.byteCount + payloadByteCount
    /// vCPUs of a guest.
    package static let vCPUs = 64
    /// Lanes of one kind in a session: one for each vCPU, and as many for fault readers.
    package static let lanesOfAKind = 128
    /// Bytes of the reason in an abort that are shown.
    package static let reasonByteCount = 512
    /// CPUID entries in a machine's description.
    package static let cpuidEntries = 256
    /// Model-specific registers in a vCPU's state.
    package static let msrs = 1024
}
