// SPDX-License-Identifier: Apache-2.0

/// How long the faults of one kind took, and where that time went.
package struct FaultTimes: Codable, Equatable, Sendable {
    /// Which faults.
    package var kind: FaultKind
    /// From beginning to end, of all of them; stages are those of a sample where faults came faster
    /// than ten thousand a second to a vCPU.
    package var latency: LatencySummary
    /// Handing the request to the lane.
    package var sent: LatencySummary?
    /// From there until the source had made the answer; absent when clocks are not comparable,
    /// and then contained in `received`.
    package var served: LatencySummary?
    /// From there until the answer had been received whole.
    package var received: LatencySummary?
    /// From there until the page was present.
    package var installed: LatencySummary?
    /// From there until the vCPU was about to enter KVM_RUN again.
    package var reentered: LatencySummary?

    init(
        _ kind: FaultKind,
        _ latency: LatencyHistogram,
        _ histogram: (FaultStage) -> LatencyHistogram?
    ) {
        self.kind = kind
        self.latency = LatencySummary(latency)
        func summary(_ stage: FaultStage) -> LatencySummary? {
            histogram(stage).map { LatencySummary($0) }
        }
        sent = summary(.sent)
        served = summary(.served)
        received = summary(.received)
        installed = summary(.installed)
        reentered = summary(.reentered)
    }

    private enum CodingKeys: String, CodingKey {
        case kind
        case latency
        case sent
        case served
        case received
        case installed
        case reentered
    }
}
