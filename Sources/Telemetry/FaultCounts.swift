// SPDX-License-Identifier: Apache-2.0

/// The faults of postcopy: touches of pages that had not arrived.
package struct FaultCounts: Codable, Equatable, Sendable {
    /// Page requests sent.
    package var requests: UInt64 = 0
    /// Userfaults raised by vCPU threads.
    package var vcpu: UInt64?
    /// Userfaults raised by anyone else: the kernel for the guest, device threads.
    package var other: UInt64?
    /// Memory-fault exits of vCPUs.
    package var exits: UInt64?
    /// Of these, on pages that another thread was fetching.
    package var exitsAwaited: UInt64?
    /// Of these, on pages installed before.
    package var exitsOnInstalled: UInt64?
    /// Installed pages mapped again from their page cache (`UFFDIO_CONTINUE`).
    package var continued: UInt64?
    /// Installed pages populated again (`MADV_POPULATE_WRITE` or `_READ`).
    package var populated: UInt64?
    /// Time during which vCPUs were blocked on absent pages, added up over all of them.
    package var blockedMicroseconds: UInt64?
    /// Time during which all vCPUs were blocked on absent pages (QEMU's `postcopy-blocktime`).
    package var overlappedBlockMicroseconds: UInt64?
    /// Time during which each vCPU was (QEMU's `postcopy-vcpu-blocktime`).
    package var vCPUBlockMicroseconds: [UInt64]?
    /// From reading a fault's event, or from the exit, until its thread went on; requested pages
    /// only (QEMU's `postcopy-latency`).
    package var latency: LatencySummary?
    /// The same for each kind of fault, and the stages inside.
    package var times: [FaultTimes]?
    /// Faults over time, from `run` on.
    package var series: FaultSeries?
    /// The first 256 faults, one by one.
    package var first: [FaultSample]?

    /// No faults yet.
    package init() {}

    private enum CodingKeys: String, CodingKey {
        case requests
        case vcpu = "faults_vcpu"
        case other = "faults_other"
        case exits
        case exitsAwaited = "exits_awaited"
        case exitsOnInstalled = "exits_on_installed"
        case continued = "pages_continued"
        case populated = "pages_populated"
        case blockedMicroseconds = "blocked_us"
        case overlappedBlockMicroseconds = "postcopy_blocktime_us"
        case vCPUBlockMicroseconds = "postcopy_vcpu_blocktime_us"
        case latency = "fault_latency"
        case times = "fault_times"
        case series = "fault_series"
        case first = "first_faults"
    }
}
