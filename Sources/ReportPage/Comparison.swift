// SPDX-License-Identifier: Apache-2.0

internal import Telemetry

/// Several migrations side by side, grouped by fault path and by what carried the pages.
struct Comparison {
    /// A migration with its name on the page.
    struct Run {
        let name: String
        let group: Int
        let migration: Migration
    }

    /// In the order of the files.
    let runs: [Run]
    /// Names of the groups, in the order in which they first come.
    let groups: [String]

    /// - Parameter migrations: At least two.
    init(_ migrations: [Migration]) {
        var groups: [String] = []
        var runs: [Run] = []
        for (index, migration) in migrations.enumerated() {
            let group = migration.group
            if !groups.contains(group) { groups.append(group) }
            runs.append(
                Run(
                    name: "Run \(index + 1): \(group)",
                    group: groups.firstIndex(of: group) ?? 0,
                    migration: migration
                )
            )
        }
        self.groups = groups
        self.runs = runs
    }

    /// Of the page.
    var title: String { "Comparison of \(runs.count) migrations" }

    /// The part of the page.
    var part: PagePart {
        var part = PagePart(title)
        let failed = runs.filter { $0.migration.report.outcome != .completed }
        if !failed.isEmpty {
            let names = failed.map(\.name).joined(separator: "; ")
            part.problem = "not all of them completed: \(names)"
        }
        part.facts = groups.indices.map { group in
            "\(groups[group]): \(HumanUnits.count(members(of: group).count, of: "run"))"
        }
        part.headlines = headlines
        part.add(gapSection)
        part.add(progressSection)
        part.add(latencySection)
        part.add(tableSection)
        return part
    }

    private func members(of group: Int) -> [Migration] {
        runs.filter { $0.group == group }.map(\.migration)
    }

    private func spread(_ measure: Measure, of group: Int) -> Spread? {
        Spread(members(of: group).compactMap(measure.value))
    }

    /// From the lowest to the highest; nil for a single run.
    private func range(_ spread: Spread, of measure: Measure) -> String? {
        guard spread.lowest < spread.highest else { return nil }
        return "\(measure.text(spread.lowest)) to \(measure.text(spread.highest))"
    }

    private func colour(of run: Run) -> PlotSeries.Colour { .number(run.group) }

    /// The gap of each group: what the guests suffered.
    private var headlines: [Headline] {
        groups.indices.compactMap { group in
            guard let measure = Measure.all.first, let gap = spread(measure, of: group) else {
                return nil
            }
            let note = [groups[group], range(gap, of: measure)].compactMap(\.self)
                .joined(separator: "; ")
            var headline = Headline("Gap from outside, median", measure.text(gap.median), note)
            headline.isMain = true
            return headline
        }
    }

    // MARK: Plots

    private var gapSection: PageSection {
        var plot = Plot(
            title: "What the guest suffered, run by run",
            sentence: "The gap seen from outside beside the downtime, which is only a part of it, "
                + "and the same gap without a migration.",
            shape: .rows,
            categories: runs.indices.map { "Run \($0 + 1)" },
            x: PlotAxis("time", unit: "ms", from: 0),
            y: .categories,
            height: min(80, 9 + runs.count * 3)
        )
        let measures: [(String, PlotSeries.Colour, KeyPath<GuestGaps, UInt64?>?)] = [
            ("gap from outside", .orange, \.outsideMicroseconds), ("downtime", .vermillion, nil),
            ("gap before", .grey, \.outsideBeforeMicroseconds),
        ]
        for (name, colour, gap) in measures {
            let points = runs.enumerated().compactMap { row, run -> PlotPoint? in
                let time =
                    gap.map { run.migration.gap($0) }
                    ?? run.migration.switchover(\.downtimeMicroseconds)
                return time.map { .row(row, from: 0, to: Double($0) / 1000) }
            }
            if !points.isEmpty { plot.series.append(PlotSeries(name, .bar, colour, points)) }
        }
        var section = PageSection("Gap and downtime")
        if !plot.series.isEmpty { section.plots = [plot] }
        return section
    }

    private var progressSection: PageSection {
        let accounts = runs.map { ProgressAccount($0.migration) }
        let end = accounts.compactMap { $0?.lastPage }.max() ?? 0
        let margin = max(200, end / 3)
        let window = -margin...(end + margin)
        var plot = Plot(
            title: "The guests' progress around the switchover",
            sentence: "A line is a run, in its group's colour: iterations in 10\u{A0}ms, in "
                + "percent of the mean of the last second before the pause, at zero; smoothed.",
            shape: .lines,
            x: PlotAxis(
                "time since the pause",
                unit: "ms",
                from: window.lowerBound,
                to: window.upperBound
            ),
            y: PlotAxis("of before", unit: "%", from: 0),
            height: 24
        )
        var named: Set<Int> = []
        for (run, account) in zip(runs, accounts) {
            guard let account, let baseline = account.baseline, baseline > 0 else { continue }
            for course in [account.before, account.after].compactMap(\.self) {
                let isNew = named.insert(run.group).inserted
                var line = ProgressSection.steps(
                    of: course,
                    in: window,
                    atMost: 200,
                    isNew ? groups[run.group] : "",
                    colour(of: run)
                )
                line.points = line.points.map { PlotPoint(x: $0.x, y: 100 * $0.y / baseline) }
                plot.series.append(line)
            }
        }
        var section = PageSection("The guests' progress")
        guard !plot.series.isEmpty else { return section }
        plot.series.append(.marker("pause", .grey, at: 0))
        section.plots = [plot]
        return section
    }

    private var latencySection: PageSection {
        var plot = Plot(
            title: "Fault latency of all runs",
            sentence: "How many percent of a run's requested faults took no longer than so many "
                + "microseconds: further left is better.",
            shape: .lines,
            x: PlotAxis("latency", unit: "µs", .logarithmic),
            y: PlotAxis("of the run's faults", unit: "%", from: 0, to: 100),
            height: 22
        )
        var named: Set<Int> = []
        for run in runs {
            guard let latency = run.migration.destination?.faults?.latency, latency.count > 0
            else { continue }
            let isNew = named.insert(run.group).inserted
            let name = isNew ? groups[run.group] : ""
            var line = PlotSeries(name, .line, colour(of: run))
            line.points = cumulated(latency.log2MicrosecondBuckets)
            plot.series.append(line)
        }
        var section = PageSection("Fault latency")
        if !plot.series.isEmpty { section.plots = [plot] }
        return section
    }

    /// Percent of the faults up to the upper end of each bucket that matters.
    private func cumulated(_ buckets: [UInt64]) -> [PlotPoint] {
        let buckets = buckets.prefix(LatencyHistogram.bucketCount).map { Double($0) }
        let total = buckets.reduce(0, +)
        guard total > 0, let first = buckets.firstIndex(where: { $0 > 0 }),
            let last = buckets.lastIndex(where: { $0 > 0 })
        else { return [] }
        var sum = 0.0
        var points = [PlotPoint(x: Double(UInt64(1) << UInt64(first)), y: 0)]
        for bucket in first...last {
            sum += buckets[bucket]
            points.append(
                PlotPoint(x: Double(UInt64(2) << UInt64(bucket)), y: 100 * sum / total)
            )
        }
        return points
    }

    // MARK: Table

    private var tableSection: PageSection {
        var table = PageTable(
            ["median (lowest to highest)"]
                + groups.indices.map { group in
                    let count = HumanUnits.count(members(of: group).count, of: "run")
                    return "\(groups[group]): \(count)"
                }
        )
        for measure in Measure.all {
            let spreads = groups.indices.map { spread(measure, of: $0) }
            guard spreads.contains(where: { $0 != nil }) else { continue }
            table.rows.append(
                PageTable.Row(
                    name: measure.name,
                    cells: spreads.map { spread in
                        guard let spread else { return PageTable.Cell("") }
                        let range = range(spread, of: measure)
                        return PageTable.Cell(measure.text(spread.median), note: range)
                    }
                )
            )
        }
        var section = PageSection("All numbers")
        section.tables = [table]
        return section
    }
}
