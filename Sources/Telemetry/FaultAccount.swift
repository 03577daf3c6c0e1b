// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// Adds up the faults of a migration, as they are drained from the rings of the threads that saw
/// them.
///
/// For one thread. A histogram takes 230 KiB, and there is one for each kind of fault, and stage
/// of it, that has been seen.
package struct FaultAccount {
    /// Faults by when they ended.
    package private(set) var series: FaultSeries?
    /// By kind, and by kind and stage: arrays, since a dictionary costs more than a histogram.
    private var latencies = [LatencyHistogram?](repeating: nil, count: FaultKind.allCases.count)
    private var stages = [LatencyHistogram?](
        repeating: nil,
        count: FaultKind.allCases.count * FaultStage.allCases.count
    )
    /// The first faults of each ring.
    private var samples: [FaultSample] = []
    private let clocks: ClockRelation

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

    /// Adds what a ring has taken up since it was last emptied.
    ///
    /// All faults count, and the stages of those that have them.
    ///
    /// - Parameters:
    ///   - ring: What to empty.
    ///   - vCPU: Whose faults they are; nil for userfaults.
    package mutating func take(from ring: FaultSpanRing, vCPU: Int?) {
        ring.drain { number, span in
            add(span)
            if number < Self.mostSamples { samples.append(FaultSample(span, vCPU: vCPU)) }
        }
    }

    private mutating func add(_ span: FaultSpan) {
        latencies.record(span.nanoseconds, at: span.kind.index)
        if span.installed != nil { addStages(of: span) }
        series?.add(span)
    }

    private mutating func addStages(of span: FaultSpan) {
        guard span.kind == .exit || span.kind == .userfault else { return }
        var before = span.seen
        for stage in FaultStage.allCases {
            guard stage != .served || clocks == .same, let instant = stage.instant(in: span)
            else { continue }
            stages.record(instant.nanoseconds(since: before), at: Self.index(span.kind, stage))
            before = max(before, instant)
        }
    }

    private static func index(_ kind: FaultKind, _ stage: FaultStage) -> Int {
        kind.index * FaultStage.allCases.count + stage.rawValue
    }

    /// The first faults of all, one by one in the order in which they began.
    package var first: [FaultSample] {
        Array(samples.sorted { $0.seen < $1.seen }.prefix(Self.mostSamples))
    }

    /// Faults that were requested, whoever touched the page: from beginning to end.
    package var requested: LatencyHistogram {
        var all = latencies[FaultKind.exit.index] ?? LatencyHistogram()
        if let userfaults = latencies[FaultKind.userfault.index] { all.merge(userfaults) }
        return all
    }

    /// What a report says of each kind of fault that there was.
    package var times: [FaultTimes] {
        FaultKind.allCases.compactMap { kind in
            latencies[kind.index].map { latency in
                FaultTimes(kind, latency) { stages[Self.index(kind, $0)] }
            }
        }
    }
}

extension [LatencyHistogram?] {
    /// Adds an event to one of the histograms, which is made for the first.
    fileprivate mutating func record(_ nanoseconds: UInt64, at index: Int) {
        if self[index] == nil { self[index] = LatencyHistogram() }
        // In place: the histogram is not copied.
        self[index]?.record(nanoseconds: nanoseconds)
    }
}
