// SPDX-License-Identifier: Apache-2.0

import Foundation
import ReportPage
import Testing

/// The table of paging rates.
@Suite struct PagingTests {
    /// Rates of three rounds: userfault 100, 200, 300 and nowait twice as fast but for one failure.
    private func rates() throws -> Page {
        let userfault: Reports.JSON = [
            "contestant": ["program": "apus", "path": "userfault"],
            "pages_per_s": [100_000.0, 200_000.0, 300_000.0],
        ]
        let nowait: Reports.JSON = [
            "contestant": ["program": "apus", "path": "nowait"],
            "pages_per_s": [200_000.0, NSNull(), 900_000.0] as [Any],
        ]
        let row: Reports.JSON = [
            "vcpus": 4, "bytes_per_vcpu": 1 << 20, "series": [userfault, nowait],
        ]
        return try Page([
            Reports.file([
                "format_version": 1, "kernel": "6.12", "processors": 2, "rounds": 3,
                "mode": "MINOR", "backing": "shmem", "rows": [row],
            ])
        ])
    }

    @Test func `medians, spread and ratios are of the rounds that ended`() throws {
        let part = try rates().parts[0]
        let table = part.sections[0].tables[0]
        let row = try #require(table.rows.first)
        #expect(row.name == "4")
        #expect(row.cells.map(\.text) == ["1 MiB", "200", "550", "2.50", "3.85"])
        #expect(
            row.cells.map(\.note)
                == [nil, "100 to 300", "200 to 900", "2.00 to 3.00", "210 → 809"]
        )
        #expect(part.headlines.map(\.value) == ["2.50 ×"])
        #expect(try #require(part.problem).contains("1 run"))
    }

    @Test func `both axes are logarithmic, the published curve is beside, with its source`()
        throws
    {
        let part = try rates().parts[0]
        let plot = part.sections[0].plots[0]
        #expect(plot.x.scale == .logarithmic)
        #expect(plot.y.scale == .logarithmic)
        let published = try plot.series("nowait, published").points
        #expect(published.map(\.x) == [1, 2, 4, 8, 16, 32, 64, 128, 256])
        #expect(published.map(\.y) == [340, 477, 809, 1239, 1595, 2299, 3482, 4134, 4012])
        #expect(
            try plot.series("userfault, published").points.map(\.y)
                == [150, 191, 210, 155, 130, 108, 86, 62, 36]
        )
        let whiskers = try #require(plot.series.first { $0.style == .whiskers })
        #expect(whiskers.points == [PlotPoint(x: 4, y: 300, low: 100)])
        let table = part.sections[0].tables[0]
        #expect(try #require(table.footnote).contains("15 February 2023"))
        #expect(try #require(table.link).hasPrefix("https://"))
    }

    @Test func `a real table is shown whole`() throws {
        let part = try Reports.page(["rates"]).parts[0]
        #expect(part.sections[0].tables[0].rows.map(\.name) == ["1", "2", "4", "8"])
        let plot = part.sections[0].plots[0]
        for path in ["userfault", "nowait", "attributes"] {
            #expect(try plot.series(path).points.map(\.x) == [1, 2, 4, 8])
        }
    }
}
