// SPDX-License-Identifier: Apache-2.0

internal import Telemetry

/// For how long vCPUs were blocked on absent pages.
enum BlockTimeSection {
    static func make(_ migration: Migration) -> PageSection? {
        guard let faults = migration.destination?.faults,
            let each = faults.vCPUBlockMicroseconds, !each.isEmpty
        else { return nil }
        var rows = each.enumerated().map { ("vCPU \($0)", $1) }
        if let overlapped = faults.overlappedBlockMicroseconds {
            rows.append(("all at once", overlapped))
        }
        var plot = Plot(
            title: "Time blocked on absent pages",
            sentence: "QEMU's postcopy-vcpu-blocktime; the last row, postcopy-blocktime, is the "
                + "time during which every vCPU was blocked.",
            shape: .rows,
            categories: rows.map(\.0),
            x: PlotAxis("time", unit: "ms", from: 0),
            y: .categories,
            height: 7 + min(each.count, 64) * 2
        )
        func points(_ rows: [Int]) -> [PlotPoint] {
            rows.map { row in .row(row, from: 0, to: Double(blocked[row]) / 1000) }
        }
        let blocked = rows.map(\.1)
        plot.series = [PlotSeries("each vCPU", .bar, .blue, points(Array(each.indices)))]
        if rows.count > each.count {
            plot.series.append(PlotSeries("all at once", .bar, .vermillion, points([each.count])))
        }
        var table = PageTable(["", "blocked", "of postcopy"])
        let postcopy = migration.either(\.postcopyMicroseconds) ?? 0
        for (name, time) in rows {
            table.add(
                name,
                PageTable.Cell(HumanUnits.duration(microseconds: time)),
                PageTable.Cell(HumanUnits.percent(time, of: postcopy))
            )
        }
        var section = PageSection("Blocked vCPUs")
        section.plots = [plot]
        section.tables = [table]
        return section
    }
}
