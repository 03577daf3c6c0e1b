// SPDX-License-Identifier: Apache-2.0

internal import Telemetry

/// Pages and bytes by how they came.
enum TransferSection {
    static func make(_ migration: Migration) -> PageSection? {
        let pages = migration.pages
        guard pages.total > 0 else { return nil }
        let precopy = migration.either(\.precopy)
        var kinds: [(name: String, count: UInt64, note: String)] = [
            ("requested", pages.requested, "came as the answer to a page request"),
            ("prefetched", pages.prefetched, "came unasked, since requests were on their way"),
            ("streamed", pages.streamed, "came in the background stream"),
            ("zero", pages.zero, "of all these: pages of zeros"),
            ("duplicate", pages.duplicate, "came for a page that was there already, and dropped"),
        ]
        if let precopy {
            let note = "came while the guest ran at the source, or in the pause, and stayed"
            kinds.insert(("precopied", precopy.pages, note), at: 0)
        }
        var plot = Plot(
            title: "Pages by how they came",
            sentence: (precopy == nil ? "Requested" : "Precopied, requested")
                + ", prefetched and streamed pages add up to all of guest memory.",
            shape: .rows,
            categories: kinds.map(\.name),
            x: PlotAxis("pages", from: 0),
            y: .categories,
            height: 14
        )
        let points = kinds.enumerated().map { row, kind in
            PlotPoint.row(row, from: 0, to: Double(kind.count))
        }
        plot.series = [PlotSeries("pages", .bar, .blue, points)]
        var table = PageTable(["", "pages", "of memory", "bytes", "what they are"])
        let pageBytes = UInt64(clamping: migration.report.machine.pageBytes)
        for kind in kinds {
            let bytes = kind.count.multipliedReportingOverflow(by: pageBytes).partialValue
            table.add(
                kind.name,
                PageTable.Cell(HumanUnits.grouped(kind.count)),
                PageTable.Cell(HumanUnits.percent(kind.count, of: pages.total)),
                PageTable.Cell(HumanUnits.bytes(bytes)),
                PageTable.Cell(kind.note)
            )
        }
        let bytes = migration.bytes
        if bytes.raw > 0 {
            table.footnote =
                "\(HumanUnits.bytes(bytes.raw)) of page contents were sent as "
                + "\(HumanUnits.bytes(bytes.wire)) on the lanes, headers included: "
                + "\(HumanUnits.percent(bytes.wire, of: bytes.raw))."
        }
        var section = PageSection("Pages and bytes")
        section.plots = [plot]
        section.tables = [table]
        if let precopy { section.tables.append(rounds(of: precopy)) }
        return section
    }

    private static func rounds(of precopy: PrecopyAccount) -> PageTable {
        var table = PageTable(["precopy round", "pages", "zero", "on the lanes", "took", ""])
        for (index, round) in precopy.rounds.enumerated() {
            table.add(
                "\(index + 1)",
                PageTable.Cell(HumanUnits.grouped(round.pages)),
                PageTable.Cell(HumanUnits.grouped(round.zeroPages)),
                PageTable.Cell(HumanUnits.bytes(round.wireBytes)),
                PageTable.Cell(HumanUnits.duration(microseconds: round.durationMicroseconds)),
                PageTable.Cell(round.isPaused ? "in the pause" : "")
            )
        }
        table.footnote =
            "\(HumanUnits.grouped(precopy.discardedPages)) pages were discarded before the guest "
            + "ran at the destination, and came once more."
        return table
    }
}
