// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// Adds up the faults of a migration, as they are drained from the rings of the threads that saw
/// them.
///
/// For one thread. A histogram takes 230 KiB, and there is one for each kind of fault, and stage
/// of it, that has been seen.
package struct FaultAccount {
    /// The first faults, one by one.
    package private(set) var first: [FaultSample] = []
    /// Faults by when they ended.
    package private(set) var series: FaultSeries?
    private var latencies: [FaultKind: LatencyHistogram] = [:]
    private var stages: [Step: LatencyHistogram] = [:]
    private let clocks: ClockRelation

    /// A stage of a kind of fault.
    private struct Step: Hashable {
        let kind: FaultKind
        let stage: FaultStage
    }

    /// Faults that are kept one by one: those that fill the gap after the switchover.
    private static let mostSamples = 256

    /// - Parameter clocks: Whether the source's instants may be compared with this side's.
    package init(clocks: ClockRelation) {
        self.clocks = clocks
    }

    /// Begins the series; faults that end before this instant are not in it.
    package mutating func beginSeries(at instant: MonotonicTime) {
        series = FaultSeries(began: instant)
    }

    /// Adds one fault.
    ///
    /// - Parameters:
    ///   - span: When its stages were.
    ///   - vCPU: Whose it was; nil for a userfault, and then its time counts as nobody's.
    package mutating func add(_ span: FaultSpan, vCPU: Int?) {
        latencies[span.kind, default: LatencyHistogram()].record(nanoseconds: span.nanoseconds)
        addStages(of: span)
        series?.add(span)
        if first.count < Self.mostSamples { first.append(FaultSample(span, vCPU: vCPU)) }
    }

    private mutating func addStages(of span: FaultSpan) {
        guard span.kind == .exit || span.kind == .userfault else { return }
        var before = span.seen
        for stage in FaultStage.allCases {
            guard stage != .served || clocks == .same, let instant = stage.instant(in: span)
            else { continue }
            stages[Step(kind: span.kind, stage: stage), default: LatencyHistogram()]
                .record(nanoseconds: instant.nanoseconds(since: before))
            before = max(before, instant)
        }
    }

    /// Faults that were requested, whoever touched the page: from beginning to end.
    package var requested: LatencyHistogram {
        var all = latencies[.exit] ?? LatencyHistogram()
        if let userfaults = latencies[.userfault] { all.merge(userfaults) }
        return all
    }

    /// What a report says of each kind of fault that there was.
    package var times: [FaultTimes] {
        FaultKind.allCases.compactMap { kind in
            latencies[kind].map { latency in
                FaultTimes(kind, latency) { stages[Step(kind: kind, stage: $0)] }
            }
        }
    }
}
