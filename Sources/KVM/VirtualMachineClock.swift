// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// The clock of a VM (kvmclock), with the host's clocks at the same instant where known.
package struct VirtualMachineClock: Equatable, Sendable {
    /// Guest time in nanoseconds.
    package var nanoseconds: UInt64
    /// `KVM_CLOCK_*`: which of the following are valid, and whether the TSC is stable.
    package var flags: UInt32
    /// The host's CLOCK_REALTIME at that instant, in nanoseconds.
    package var realtimeNanoseconds: UInt64
    /// The host's TSC at that instant.
    package var hostTSC: UInt64

    /// - Parameters:
    ///   - nanoseconds: Guest time.
    ///   - flags: `KVM_CLOCK_*`.
    ///   - realtimeNanoseconds: The host's CLOCK_REALTIME.
    ///   - hostTSC: The host's TSC.
    package init(
        nanoseconds: UInt64,
        flags: UInt32,
        realtimeNanoseconds: UInt64,
        hostTSC: UInt64
    ) {
        self.nanoseconds = nanoseconds
        self.flags = flags
        self.realtimeNanoseconds = realtimeNanoseconds
        self.hostTSC = hostTSC
    }

    /// Whether `realtimeNanoseconds` is valid.
    package var hasRealtime: Bool { flags & CLINUX_KVM_CLOCK_REALTIME != 0 }
    /// Whether `hostTSC` is valid.
    package var hasHostTSC: Bool { flags & CLINUX_KVM_CLOCK_HOST_TSC != 0 }
}
