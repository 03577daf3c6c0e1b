// SPDX-License-Identifier: Apache-2.0

internal import Telemetry

/// How long faults took, by kind, and the stages inside.
enum LatencySection {
    static func make(_ migration: Migration) -> PageSection? {
        guard let times = migration.destination?.faults?.times, !times.isEmpty else { return nil }
        var section = PageSection(
            "Fault latency",
            "From the exit, or from reading the event of userfaultfd, until the vCPU went on."
        )
        if let plot = distribution(times) { section.plots.append(plot) }
        section.tables.append(percentiles(times))
        if let plot = stagesPlot(times) {
            section.plots.append(plot)
            section.tables.append(stagesTable(times, isOneClock: migration.isOneClock))
        }
        return section
    }

    /// A kind in words.
    static func name(of kind: FaultKind) -> String {
        switch kind {
        case .exit: "exit"
        case .exitAwaited: "exit, another's page"
        case .exitOnInstalled: "exit, installed page"
        case .userfault: "userfault"
        }
    }

    private static func colour(of kind: FaultKind) -> PlotSeries.Colour {
        switch kind {
        case .exit: .blue
        case .exitAwaited: .sky
        case .exitOnInstalled: .green
        case .userfault: .orange
        }
    }

    /// The lower end of a bucket, in words.
    static func name(ofBucket bucket: Int) -> String {
        if bucket == 0 { return "< 2 µs" }
        let low = UInt64(1) << UInt64(min(bucket, 40))
        if low < 1024 { return "\(low) µs" }
        if low < 1024 * 1024 { return "\(HumanUnits.significant(Double(low) / 1000)) ms" }
        return "\(HumanUnits.significant(Double(low) / 1e6)) s"
    }

    private static func distribution(_ times: [FaultTimes]) -> Plot? {
        let counts = times.map(\.latency.log2MicrosecondBuckets)
        let used = counts.flatMap { buckets in buckets.indices.filter { buckets[$0] > 0 } }
        guard let first = used.min(), let last = used.max() else { return nil }
        let highest = counts.flatMap(\.self).max() ?? 0
        var plot = Plot(
            title: "Faults by how long they took",
            sentence: "Each column is twice as wide as the one before and named by where it "
                + "begins: QEMU's 24 buckets of postcopy-latency.",
            shape: .columns,
            categories: (first...last).map(name(ofBucket:)),
            x: PlotAxis("latency from", .category),
            // The few long ones matter, and would not be seen beside thousands.
            y: highest > 60
                ? PlotAxis("faults", .logarithmic, from: 0.5) : PlotAxis("faults", from: 0)
        )
        for (kind, buckets) in zip(times.map(\.kind), counts) {
            let points = (first...last).compactMap { bucket -> PlotPoint? in
                guard bucket < buckets.count, buckets[bucket] > 0 else { return nil }
                return .column(bucket - first, Double(buckets[bucket]))
            }
            plot.series.append(PlotSeries(name(of: kind), .bar, colour(of: kind), points))
        }
        return plot
    }

    private static func percentiles(_ times: [FaultTimes]) -> PageTable {
        var table = PageTable(["", "faults", "mean", "p50", "p90", "p99", "p99.9", "max"])
        for times in times {
            let latency = times.latency
            let values = [
                latency.meanNanoseconds, latency.p50Nanoseconds, latency.p90Nanoseconds,
                latency.p99Nanoseconds, latency.p999Nanoseconds, latency.maximumNanoseconds,
            ]
            table.rows.append(
                PageTable.Row(
                    name: name(of: times.kind),
                    cells: [PageTable.Cell(HumanUnits.grouped(latency.count))]
                        + values.map { PageTable.Cell(HumanUnits.duration(nanoseconds: $0)) }
                )
            )
        }
        return table
    }

    // MARK: Stages

    /// A stage, in the order in which they come.
    private static func stages(of times: FaultTimes) -> [(name: String, time: LatencySummary)] {
        [
            ("sent", times.sent), ("served", times.served), ("received", times.received),
            ("installed", times.installed), ("re-entered", times.reentered),
        ].compactMap { name, time in time.map { (name, $0) } }
    }

    private static func stagesPlot(_ times: [FaultTimes]) -> Plot? {
        var plot = Plot(
            title: "The stages inside a fault",
            sentence: "A bar begins at the median of a stage's time and ends at its p99; the axis "
                + "is logarithmic.",
            shape: .rows,
            x: PlotAxis("time in the stage, p50 to p99", unit: "µs", .logarithmic),
            y: .categories
        )
        for times in times {
            let kind = name(of: times.kind)
            var points: [PlotPoint] = []
            for stage in stages(of: times) {
                let row = plot.categories.count
                plot.categories.append("\(stage.name) (\(kind))")
                // A logarithm has no zero.
                let low = Double(max(stage.time.p50Nanoseconds, 1)) / 1000
                let high = Double(max(stage.time.p99Nanoseconds, 1)) / 1000
                points.append(.row(row, from: low, to: max(low, high)))
            }
            if !points.isEmpty {
                plot.series.append(PlotSeries(kind, .bar, colour(of: times.kind), points))
            }
        }
        plot.height = 8 + plot.categories.count * 2
        return plot.categories.isEmpty ? nil : plot
    }

    private static func stagesTable(_ times: [FaultTimes], isOneClock: Bool) -> PageTable {
        var table = PageTable(["stage", "until", "p50", "p90", "p99", "max"])
        for times in times {
            for stage in stages(of: times) {
                let values = [
                    stage.time.p50Nanoseconds, stage.time.p90Nanoseconds,
                    stage.time.p99Nanoseconds, stage.time.maximumNanoseconds,
                ]
                table.rows.append(
                    PageTable.Row(
                        name: "\(stage.name) (\(name(of: times.kind)))",
                        cells: [PageTable.Cell(explanations[stage.name] ?? "")]
                            + values.map { PageTable.Cell(HumanUnits.duration(nanoseconds: $0)) }
                    )
                )
            }
        }
        if !isOneClock {
            table.footnote = "The two hosts' clocks differ: served is part of received."
        }
        return table
    }

    private static let explanations = [
        "sent": "the request was handed to the lane",
        "served": "the source had made the answer",
        "received": "the answer was received whole",
        "installed": "the page was present",
        "re-entered": "the vCPU was about to enter the guest",
    ]
}
