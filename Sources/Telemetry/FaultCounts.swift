// SPDX-License-Identifier: Apache-2.0

/// The faults of postcopy: touches of pages that had not arrived.
package struct FaultCounts: Codable, Equatable, Sendable {
    /// Page requests sent.
    package var requests: UInt64 = 0
    /// Userfaults raised by vCPU threads.
    package var vcpu: UInt64?
    /// Userfaults raised by anyone else: the kernel for the guest, device threads.
    package var other: UInt64?
    /// From reading a fault's event to waking the thread that waits, requested pages only.
    package var latency: LatencySummary?

    /// No faults yet.
    package init() {}

    private enum CodingKeys: String, CodingKey {
        case requests
        case vcpu = "faults_vcpu"
        case other = "faults_other"
        case latency = "fault_latency"
    }
}
