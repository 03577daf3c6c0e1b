// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import LinuxSystem
internal import Telemetry

/// The guest's own progress before, during and after the migration, and the faults beside it.
enum ProgressSection {
    /// More steps than a screen has pixels show nothing more.
    static let mostSteps = 1500

    static func make(_ migration: Migration) -> PageSection? {
        guard let clock = PageClock(migration), let account = ProgressAccount(migration) else {
            return nil
        }
        var section = PageSection(
            "The guest's progress",
            "What the guest got done by its own counters. What is missing after the resume, "
                + "until the last page has come, is the brownout."
        )
        section.plots = [plot(account, migration, clock)]
        section.tables = [table(account)]
        return section
    }

    private static func plot(
        _ account: ProgressAccount,
        _ migration: Migration,
        _ clock: PageClock
    ) -> Plot {
        // The brownout, and as much again on both sides, but half a second at least.
        let end = max(0, account.lastPage ?? account.after?.begins ?? 0)
        let margin = max(500, end / 2)
        let window = -margin...(end + margin)
        var plot = Plot(
            title: "Pages verified and changed by the guest",
            sentence: "The upper pane has iterations of all vCPUs in 10\u{A0}ms, the lower one the "
                + "faults that ended in these 10\u{A0}ms.",
            shape: .lines,
            x: PlotAxis(
                "time since \(clock.origin)",
                unit: "ms",
                from: window.lowerBound,
                to: window.upperBound
            ),
            y: PlotAxis("iterations", from: 0),
            height: 26
        )
        if let before = account.before {
            plot.series.append(steps(of: before, in: window, "at the source", .purple))
        }
        if let after = account.after {
            plot.series.append(steps(of: after, in: window, "at the destination", .blue))
        }
        if let baseline = account.baseline {
            var mean = PlotSeries("mean before", .steps, .grey)
            mean.stroke = .dotted
            mean.points = [
                PlotPoint(x: window.lowerBound, y: baseline),
                PlotPoint(x: window.upperBound, y: baseline),
            ]
            plot.series.append(mean)
        }
        if let series = migration.destination?.faults?.series,
            let faults = ProgressAccount.Course(
                begins: clock.milliseconds(series.began),
                intervalMicroseconds: series.intervalMicroseconds,
                series.count
            )
        {
            plot.below = PlotAxis("faults", from: 0)
            var area = steps(of: faults, in: window, "faults", .orange)
            area.style = .area
            area.pane = .below
            plot.series.append(area)
        }
        plot.series += markers(account, migration, clock)
        return plot
    }

    private static func markers(
        _ account: ProgressAccount,
        _ migration: Migration,
        _ clock: PageClock
    ) -> [PlotSeries] {
        var markers: [PlotSeries] = []
        if migration.isOneClock, migration.instant(\.pause) != nil {
            markers.append(.marker("pause", .vermillion, at: 0))
        }
        if let run = migration.instant(\.run) {
            markers.append(.marker("run", .green, at: clock.milliseconds(run)))
        }
        if let lastPage = account.lastPage {
            markers.append(.marker("last page", .grey, at: lastPage))
        }
        return markers
    }

    /// A course as steps, several intervals in one where there are too many.
    static func steps(
        of course: ProgressAccount.Course,
        in window: ClosedRange<Double>,
        atMost mostSteps: Int = mostSteps,
        _ name: String,
        _ colour: PlotSeries.Colour
    ) -> PlotSeries {
        let shown = course.values.indices.filter { window.contains(course.start($0)) }
        var series = PlotSeries(name, .steps, colour)
        guard let first = shown.first, let last = shown.last else { return series }
        let width = (shown.count + mostSteps - 1) / mostSteps
        for index in stride(from: first, through: last, by: width) {
            let values = course.values[index...min(last, index + width - 1)]
            let mean = values.reduce(0) { $0 + Double($1) } / Double(values.count)
            series.points.append(PlotPoint(x: course.start(index), y: mean))
        }
        // The last step has a length too.
        if let y = series.points.last?.y {
            series.points.append(PlotPoint(x: course.start(last + 1), y: y))
        }
        return series
    }

    private static func table(_ account: ProgressAccount) -> PageTable {
        var table = PageTable(["", "iterations in 10\u{A0}ms", "of before"])
        func add(_ name: String, _ value: Double?) {
            guard let value else { return }
            let share = account.baseline.map { $0 > 0 ? 100 * value / $0 : 0 }
            table.add(
                name,
                PageTable.Cell(HumanUnits.significant(value)),
                PageTable.Cell(share.map { "\(HumanUnits.significant($0)) %" } ?? "")
            )
        }
        add("before: the last second", account.baseline)
        add("during: run to last page", account.during)
        add("after the last page", account.afterwards)
        return table
    }
}
