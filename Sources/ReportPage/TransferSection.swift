// SPDX-License-Identifier: Apache-2.0

internal import Telemetry

/// Pages and bytes by how they came.
enum TransferSection {
    static func make(_ migration: Migration) -> PageSection? {
        let pages = migration.pages
        guard pages.total > 0 else { return nil }
        let kinds: [(name: String, count: UInt64, note: String)] = [
            ("requested", pages.requested, "came as the answer to a page request"),
            ("prefetched", pages.prefetched, "came unasked, since requests were on their way"),
            ("streamed", pages.streamed, "came in the background stream"),
            ("zero", pages.zero, "of all these: pages of zeros"),
            ("duplicate", pages.duplicate, "came for a page that was there already, and dropped"),
        ]
        var plot = Plot(
            title: "Pages by how they came",
            sentence: "Requested, prefetched and streamed pages add up to all of guest memory.",
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
        return section
    }
}
