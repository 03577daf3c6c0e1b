// SPDX-License-Identifier: Apache-2.0

internal import Telemetry

/// What the page shows of a table of paging rates.
enum PagingPart {
    static func make(_ rates: PagingRates) -> PagePart {
        var part = PagePart("Demand paging rates")
        part.facts = [
            "kernel \(rates.kernel)", HumanUnits.count(rates.processors, of: "processor"),
            "\(rates.backing), \(rates.mode)", HumanUnits.count(rates.rounds, of: "round"),
        ]
        let failed = rates.rows.flatMap(\.series).flatMap(\.rates).count { $0 == nil }
        if failed > 0 {
            let runs = HumanUnits.count(failed, of: "run")
            part.problem = "Failed, or not ended in time, and in none of the numbers: \(runs)."
        }
        part.headlines = headlines(rates)
        var section = PageSection(
            "Pages a second by vCPUs",
            "How fast vCPUs page memory in that is absent at first: over userfaultfd, where a "
                + "reader thread serves them, or on memory-fault exits, where each serves itself."
        )
        section.plots = [plot(rates)]
        section.tables = [table(rates)]
        part.add(section)
        return part
    }

    private static let userfault = PagingRates.Contestant(program: "apus", path: "userfault")

    private static func name(of contestant: PagingRates.Contestant) -> String {
        contestant.program == "apus"
            ? contestant.path : "\(contestant.path), \(contestant.program)"
    }

    private static func colour(of contestant: PagingRates.Contestant) -> PlotSeries.Colour {
        switch contestant.path {
        case "userfault": .orange
        case "nowait": .blue
        default: .green
        }
    }

    /// Ratios to userfault, where they can be had.
    private static func ratios(
        _ contestant: PagingRates.Contestant,
        in row: PagingRates.Row
    ) -> Spread? {
        guard contestant.program == userfault.program, contestant != userfault else { return nil }
        return row.series(userfault).flatMap { row.series(contestant)?.ratios(to: $0) }
    }

    private static func headlines(_ rates: PagingRates) -> [Headline] {
        rates.contestants.compactMap { contestant in
            let all = rates.rows.compactMap { row in
                ratios(contestant, in: row).map { (vCPUs: row.vCPUs, ratio: $0.median) }
            }
            guard let first = all.first, let last = all.last else { return nil }
            let others = "\(text(last.ratio)) times at \(last.vCPUs)"
            var headline = Headline(
                "\(contestant.path) over userfault",
                "\(text(first.ratio)) ×",
                "at \(HumanUnits.count(first.vCPUs, of: "vCPU"))"
                    + (all.count > 1 ? "; \(others)" : "")
            )
            headline.isMain = true
            return headline
        }
    }

    private static func text(_ value: Double) -> String { HumanUnits.significant(value) }

    private static func plot(_ rates: PagingRates) -> Plot {
        var plot = Plot(
            title: "Paging rate of all vCPUs together",
            sentence: "Medians, with strokes from the slowest to the fastest round; both axes are "
                + "logarithmic. Dashed: what the kernel series published, on other hardware.",
            shape: .lines,
            x: PlotAxis("vCPUs", .logarithmic),
            y: PlotAxis("thousand pages/s", .logarithmic),
            height: 30
        )
        plot.x.ticks = (0...10).map { Double(1 << $0) }
        for contestant in rates.contestants {
            let name = name(of: contestant)
            var line = PlotSeries(name, .line, colour(of: contestant))
            if contestant.program != userfault.program { line.stroke = .dotted }
            var whiskers = PlotSeries("", .whiskers, line.colour)
            for row in rates.rows {
                guard let spread = row.series(contestant)?.spread, spread.lowest > 0 else {
                    continue
                }
                let vCPUs = Double(row.vCPUs)
                line.points.append(PlotPoint(x: vCPUs, y: spread.median / 1000))
                whiskers.points.append(
                    PlotPoint(x: vCPUs, y: spread.highest / 1000, low: spread.lowest / 1000)
                )
            }
            plot.series += [line, whiskers].filter { !$0.points.isEmpty }
        }
        var published = PlotSeries("userfault, published", .line, .orange)
        var exits = PlotSeries("nowait, published", .line, .blue)
        published.stroke = .dashed
        exits.stroke = .dashed
        for row in PublishedRates.rows {
            published.points.append(PlotPoint(x: Double(row.vCPUs), y: row.userfault))
            exits.points.append(PlotPoint(x: Double(row.vCPUs), y: row.exits))
        }
        plot.series += [published, exits]
        return plot
    }

    private static func table(_ rates: PagingRates) -> PageTable {
        var columns = ["vCPUs", "memory each"]
        for contestant in rates.contestants {
            columns.append("\(name(of: contestant)), thousand/s")
            if contestant.program == userfault.program, contestant != userfault {
                columns.append("ratio")
            }
        }
        columns.append("published ratio")
        var table = PageTable(columns)
        for row in rates.rows {
            let memory = HumanUnits.bytes(UInt64(clamping: row.bytesPerVCPU))
            var cells = [PageTable.Cell(memory)]
            for contestant in rates.contestants {
                cells.append(cell(row.series(contestant)?.spread, divisor: 1000))
                if contestant.program == userfault.program, contestant != userfault {
                    cells.append(cell(ratios(contestant, in: row), divisor: 1))
                }
            }
            let published = PublishedRates.rows.first { $0.vCPUs == row.vCPUs }
            cells.append(
                published.map { rates in
                    let ratio = text(rates.exits / rates.userfault)
                    return PageTable.Cell(
                        ratio,
                        note: "\(text(rates.userfault)) → \(text(rates.exits))"
                    )
                } ?? ""
            )
            table.rows.append(PageTable.Row(name: "\(row.vCPUs)", cells: cells))
        }
        table.footnote =
            "Medians, with the lowest and the highest below; ratios are of the rounds' own. "
            + PublishedRates.source
        table.link = PublishedRates.link
        return table
    }

    private static func cell(_ spread: Spread?, divisor: Double) -> PageTable.Cell {
        guard let spread else { return "no run" }
        let range = "\(text(spread.lowest / divisor)) to \(text(spread.highest / divisor))"
        return PageTable.Cell(text(spread.median / divisor), note: range)
    }
}
