// SPDX-License-Identifier: Apache-2.0

internal import LinuxSystem
internal import Telemetry

/// The faults that fill the gap seen from outside, one by one.
enum GapSection {
    /// Rows that can still be told apart.
    private static let mostRows = 96

    static func make(_ migration: Migration) -> PageSection? {
        guard let clock = PageClock(migration), let faults = migration.destination?.faults,
            let samples = faults.first, !samples.isEmpty
        else { return nil }
        let gap = TimelineSection.outsideGap(migration, clock)
        let inGap = samples.filter { sample in
            gap.map {
                clock.milliseconds(sample.ended) >= $0.lowerBound
                    && clock.milliseconds(sample.seen) <= $0.upperBound
            } ?? true
        }
        let shown = Array((inGap.isEmpty ? samples : inGap).prefix(mostRows))
        var plot = plot(shown, clock, isOneClock: migration.isOneClock)
        if let gap, !inGap.isEmpty {
            plot.series.append(.marker("gap begins", .orange, at: gap.lowerBound))
            plot.series.append(.marker("gap ends", .orange, at: gap.upperBound))
        }
        var lead =
            "The gap seen from outside holds \(inGap.count) of the first \(samples.count) faults."
        if gap == nil { lead = "The first faults after the resume." }
        if inGap.isEmpty {
            lead =
                "None of the first \(samples.count) faults was in the gap seen from outside: "
                + "something else kept the guest. These are the first ones."
        }
        if shown.count < inGap.count { lead += " The first \(shown.count) are shown." }
        var section = PageSection("Faults in the gap", lead)
        section.plots = [plot]
        return section
    }

    private static func plot(
        _ samples: [FaultSample],
        _ clock: PageClock,
        isOneClock: Bool
    ) -> Plot {
        var plot = Plot(
            title: "Faults from beginning to end",
            sentence: "A row is a fault, its colours are the stages on its way: where the long "
                + "ones are is where the guest waits.",
            shape: .rows,
            categories: samples.enumerated().map { index, sample in
                "\(index + 1): \(sample.vCPU.map { "vCPU \($0)" } ?? "userfault")"
            },
            x: PlotAxis("time since \(clock.origin)", unit: "ms"),
            y: .categories,
            height: min(60, 8 + samples.count * 3 / 4)
        )
        for step in steps {
            let points = samples.enumerated().compactMap { row, sample -> PlotPoint? in
                guard let (from, to) = interval(step, of: sample, isOneClock: isOneClock) else {
                    return nil
                }
                let start = clock.milliseconds(from)
                return .row(row, from: start, to: max(start, clock.milliseconds(to)))
            }
            if !points.isEmpty {
                plot.series.append(PlotSeries(step.name, .bar, step.colour, points))
            }
        }
        return plot
    }

    /// A stage of a fault, up to an instant.
    private struct Step {
        let name: String
        let colour: PlotSeries.Colour
        let end: @Sendable (FaultSample) -> MonotonicTime?
    }

    private static let steps = [
        Step(name: "sent", colour: .yellow) { $0.sent },
        Step(name: "served", colour: .vermillion) { $0.served },
        Step(name: "received", colour: .sky) { $0.received },
        Step(name: "installed", colour: .green) { $0.installed },
        Step(name: "re-entered", colour: .blue) { $0.kind == .exit ? $0.ended : nil },
        Step(name: "waited for another's", colour: .grey) {
            $0.kind == .exitAwaited || $0.kind == .exitOnInstalled ? $0.ended : nil
        },
    ]

    /// From the last instant that is known before a step to the step.
    private static func interval(
        _ step: Step,
        of sample: FaultSample,
        isOneClock: Bool
    ) -> (MonotonicTime, MonotonicTime)? {
        var before = sample.seen
        for other in steps {
            guard let end = other.end(sample), isOneClock || other.name != "served" else {
                continue
            }
            if other.name == step.name { return (before, max(before, end)) }
            before = max(before, end)
        }
        return nil
    }
}
