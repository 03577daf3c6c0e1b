// SPDX-License-Identifier: Apache-2.0

internal import Telemetry

/// What the migration cost both sides' processes.
enum CostSection {
    static func make(_ migration: Migration) -> PageSection? {
        let sides = migration.files.map(\.report).filter { $0.resources.processCPUMicroseconds > 0 }
        guard !sides.isEmpty else { return nil }
        var section = PageSection(
            "Cost",
            "CPU time and memory of each side's whole process, the guest's vCPUs included."
        )
        section.plots = [plot(sides)]
        section.tables = [table(sides)]
        return section
    }

    private static func plot(_ sides: [MigrationReport]) -> Plot {
        var plot = Plot(
            title: "CPU time of both sides",
            sentence: "As the kernel counts it, time in the guest is user time.",
            shape: .rows,
            categories: sides.map(\.role.rawValue),
            x: PlotAxis("CPU time", unit: "ms", from: 0),
            y: .categories,
            height: 7 + sides.count * 2
        )
        var user = PlotSeries("own code and guest", .bar, .blue)
        var system = PlotSeries("kernel", .bar, .orange)
        var unsplit = PlotSeries("not split", .bar, .grey)
        for (row, side) in sides.enumerated() {
            let use = side.resources
            guard let own = use.userCPUMicroseconds, let kernel = use.systemCPUMicroseconds else {
                let all = Double(use.processCPUMicroseconds) / 1000
                unsplit.points.append(.row(row, from: 0, to: all))
                continue
            }
            let border = Double(own) / 1000
            user.points.append(.row(row, from: 0, to: border))
            system.points.append(.row(row, from: border, to: border + Double(kernel) / 1000))
        }
        plot.series = [user, system, unsplit].filter { !$0.points.isEmpty }
        return plot
    }

    private static func table(_ sides: [MigrationReport]) -> PageTable {
        var table = PageTable([""] + sides.map(\.role.rawValue))
        func add(_ name: String, _ value: (ResourceUse) -> String?) {
            let values = sides.map { value($0.resources) }
            guard values.contains(where: { $0 != nil }) else { return }
            let cells = values.map { PageTable.Cell($0 ?? "") }
            table.rows.append(PageTable.Row(name: name, cells: cells))
        }
        func time(_ microseconds: UInt64?) -> String? {
            microseconds.map { HumanUnits.duration(microseconds: $0) }
        }
        add("CPU time") { time($0.processCPUMicroseconds) }
        add("own code and guest") { time($0.userCPUMicroseconds) }
        add("kernel") { time($0.systemCPUMicroseconds) }
        add("memory at most") { HumanUnits.bytes($0.residentPeakBytes) }
        add("beyond the guest") { HumanUnits.bytes($0.residentBeyondGuestBytes) }
        add("bookkeeping a page") { use in
            use.metadataBytesPerPage.map { "\(HumanUnits.significant($0)) B" }
        }
        return table
    }
}
