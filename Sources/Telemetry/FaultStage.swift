// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// A step on a fault's way.
///
/// Its time is what has passed since the step before it that was seen.
package enum FaultStage: Int, CaseIterable, Sendable {
    /// From the exit until the request was handed to the lane.
    case sent
    /// Until the source had made the answer: wire, queue, reading and compressing the page.
    case served
    /// Until the answer was received whole.
    case received
    /// Until the page was decompressed, checked, made present and published.
    case installed
    /// Until the vCPU was about to enter KVM_RUN again.
    case reentered

    /// When a fault came to this stage; nil when it did not, or nobody saw it.
    package func instant(in span: FaultSpan) -> MonotonicTime? {
        switch self {
        case .sent: span.sent
        case .served: span.served
        case .received: span.received
        case .installed: span.installed
        case .reentered: span.kind == .userfault ? nil : span.ended
        }
    }
}
