// SPDX-License-Identifier: Apache-2.0

internal import LinuxSystem
internal import Telemetry

/// The steps of a migration, to scale: the whole, and the downtime cut into its parts.
enum TimelineSection {
    static func make(_ migration: Migration) -> PageSection? {
        var section = PageSection("Timeline")
        if let whole = whole(migration) { section.plots.append(whole) }
        let parts = parts(of: migration)
        if let plot = plot(parts, of: migration) { section.plots.append(plot) }
        if let table = table(parts, of: migration) { section.tables.append(table) }
        return section
    }

    // MARK: The whole

    private static func whole(_ migration: Migration) -> Plot? {
        guard let clock = PageClock(migration), let run = migration.instant(\.run) else {
            return nil
        }
        var plot = Plot(
            title: "The whole migration",
            sentence: "From \(clock.origin), at zero, to the end. The gap seen from outside is the "
                + "longest silence of the guest's heartbeat, and may come when the guest "
                + "already runs at the destination: it waits for pages there.",
            shape: .rows,
            x: PlotAxis("time since \(clock.origin)", unit: "ms"),
            y: .categories,
            height: 15
        )
        func add(_ name: String, _ colour: PlotSeries.Colour, from low: Double, to high: Double) {
            let row = plot.categories.count
            plot.categories.append(name)
            plot.series.append(
                PlotSeries(name, .bar, colour, [.row(row, from: low, to: max(low, high))])
            )
        }
        if migration.isOneClock, let request = migration.instant(\.pauseRequested),
            let pause = migration.instant(\.pause)
        {
            let begin = clock.millisecondsAtSource(request)
            add("quiesce", .grey, from: begin, to: clock.millisecondsAtSource(pause))
            let start = clock.milliseconds(run)
            add("downtime", .vermillion, from: 0, to: start)
        }
        if let gap = outsideGap(migration, clock) {
            add("gap from outside", .orange, from: gap.lowerBound, to: gap.upperBound)
        }
        if let last = migration.instant(\.lastPage) {
            let start = clock.milliseconds(run)
            add("postcopy", .blue, from: start, to: clock.milliseconds(last))
            if let done = migration.instant(\.done) {
                let start = clock.milliseconds(last)
                add("agreement on the end", .green, from: start, to: clock.milliseconds(done))
            }
        }
        return plot.categories.isEmpty ? nil : plot
    }

    /// When the gap seen from outside was, in milliseconds.
    static func outsideGap(_ migration: Migration, _ clock: PageClock) -> ClosedRange<Double>? {
        guard let gaps = migration.destination?.gaps, let began = gaps.outsideBegan,
            let length = gaps.outsideMicroseconds
        else { return nil }
        let start = clock.milliseconds(began)
        return start...(start + Double(length) / 1000)
    }

    // MARK: The downtime

    /// A part of the downtime.
    private struct Part {
        let name: String
        let explanation: String
        let colour: PlotSeries.Colour
        let microseconds: UInt64?
    }

    private static func parts(of migration: Migration) -> [Part] {
        [
            Part(
                name: "save",
                explanation: "the source reads vCPUs and machine from KVM",
                colour: .blue,
                microseconds: migration.switchover(\.saveMicroseconds)
            ),
            Part(
                name: "send",
                explanation: "it encodes the state and hands it to the control lane",
                colour: .sky,
                microseconds: migration.switchover(\.sendMicroseconds)
            ),
            Part(
                name: "wire",
                explanation: "until the destination has the last byte",
                colour: .purple,
                microseconds: migration.switchover(\.wireMicroseconds)
            ),
            Part(
                name: "load",
                explanation: "the destination checks the state and loads it into KVM",
                colour: .green,
                microseconds: migration.switchover(\.loadMicroseconds)
            ),
            Part(
                name: "start",
                explanation: "the agreement to commit, and waking the vCPUs' threads",
                colour: .vermillion,
                microseconds: migration.switchover(\.startMicroseconds)
            ),
        ]
    }

    private static func plot(_ parts: [Part], of migration: Migration) -> Plot? {
        var plot = Plot(
            title: "The downtime and its parts",
            sentence: "Each part begins where the one above ends"
                + (migration.isOneClock
                    ? ". Quiesce comes before the pause: the guest still runs."
                    : "; the wire's is unknown, since the two hosts' clocks differ."),
            shape: .rows,
            x: PlotAxis("time since the pause", unit: "ms"),
            y: .categories,
            height: 16
        )
        if let quiesce = migration.switchover(\.quiesceMicroseconds) {
            plot.categories.append("quiesce")
            let point = PlotPoint.row(0, from: -Double(quiesce) / 1000, to: 0)
            plot.series.append(PlotSeries("quiesce", .bar, .grey, [point]))
        }
        var elapsed = 0.0
        var isEmpty = true
        for part in parts {
            guard let length = part.microseconds.map({ Double($0) / 1000 }) else { continue }
            let row = plot.categories.count
            plot.categories.append(part.name)
            let point = PlotPoint.row(row, from: elapsed, to: elapsed + length)
            plot.series.append(PlotSeries(part.name, .bar, part.colour, [point]))
            elapsed += length
            isEmpty = false
        }
        return isEmpty ? nil : plot
    }

    private static func table(_ parts: [Part], of migration: Migration) -> PageTable? {
        var table = PageTable(["", "time", "what happens"])
        func add(_ name: String, _ microseconds: UInt64?, _ explanation: String) {
            guard let microseconds else { return }
            let time = HumanUnits.duration(microseconds: microseconds)
            table.add(name, Cell(time), Cell(explanation))
        }
        add(
            "quiesce",
            migration.switchover(\.quiesceMicroseconds),
            "the vCPUs are asked to leave the guest: before the downtime, not in it"
        )
        for part in parts { add(part.name, part.microseconds, part.explanation) }
        add(
            "downtime",
            migration.switchover(\.downtimeMicroseconds),
            "from the last KVM_RUN at the source to the first at the destination"
        )
        add(
            "gap from outside",
            migration.gap(\.outsideMicroseconds),
            "the longest silence of the guest's heartbeat over switchover and postcopy"
        )
        add("  before", migration.gap(\.outsideBeforeMicroseconds), "the same before the pause")
        add("  after", migration.gap(\.outsideAfterMicroseconds), "the same after the last page")
        add(
            "gap in the guest",
            migration.gap(\.guestMicroseconds),
            "by its own clock, which is carried over and so misses some of it"
        )
        add(
            "postcopy",
            migration.either(\.postcopyMicroseconds),
            "from the first KVM_RUN at the destination to the last page"
        )
        add(
            "total",
            migration.either(\.totalMicroseconds),
            "from the request, or the first precopy round, to the end"
        )
        return table.rows.isEmpty ? nil : table
    }

    private typealias Cell = PageTable.Cell
}
