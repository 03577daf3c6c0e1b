// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// One fault in a report, with its instants on the destination's CLOCK_MONOTONIC; `served_ns` is
/// on the source's.
package struct FaultSample: Codable, Equatable, Sendable {
    /// What it was.
    package var kind: FaultKind
    /// Whose it was; absent for a userfault.
    package var vCPU: Int?
    /// KVM_RUN returned, or the event was read.
    package var seen: MonotonicTime
    /// The request had been handed to the lane.
    package var sent: MonotonicTime?
    /// The source had made the answer.
    package var served: MonotonicTime?
    /// The answer had been received whole.
    package var received: MonotonicTime?
    /// The page was present.
    package var installed: MonotonicTime?
    /// The vCPU was about to enter KVM_RUN again.
    package var ended: MonotonicTime

    init(_ span: FaultSpan, vCPU: Int?) {
        kind = span.kind
        self.vCPU = vCPU
        seen = span.seen
        sent = span.sent
        served = span.served
        received = span.received
        installed = span.installed
        ended = span.ended
    }

    private enum CodingKeys: String, CodingKey {
        case kind
        case vCPU = "vcpu"
        case seen = "seen_ns"
        case sent = "sent_ns"
        case served = "served_ns"
        case received = "received_ns"
        case installed = "installed_ns"
        case ended = "ended_ns"
    }
}
