// SPDX-License-Identifier: Apache-2.0

import ReportPage
import Testing

/// Several migrations on one page.
@Suite struct ComparisonTests {
    /// Migrations like one of the samples, with gaps of so many microseconds.
    private func files(like names: [String], gaps: [Int]) throws -> [InputFile] {
        try gaps.flatMap { gap in
            try names.map { name in
                var report = try Reports.json(name)
                report["session_identity"] = "00-\(gap)"
                if name.hasSuffix("destination") { report[object: "gaps"]["outside_gap_us"] = gap }
                return try Reports.file(report, path: "\(name)-\(gap).json")
            }
        }
    }

    @Test func `runs are grouped by fault path and lanes, with median and spread`() throws {
        let page = try Page(
            files(like: Reports.nowait, gaps: [80_000, 20_000, 50_000])
                + files(like: Reports.userfault, gaps: [10_000, 30_000])
        )
        #expect(page.title == "Comparison of 5 migrations")
        #expect(page.parts.count == 6)
        #expect(page.parts.map(\.isCollapsed) == [false] + Array(repeating: true, count: 5))
        let part = page.parts[0]
        #expect(part.facts == ["nowait, ring: 3 runs", "userfault, unix: 2 runs"])
        let row = try #require(try part.section("All numbers").tables[0].rows.first)
        #expect(row.name == "gap from outside")
        #expect(row.cells.map(\.text) == ["50 ms", "20 ms"])
        #expect(row.cells.map(\.note) == ["20 ms to 80 ms", "10 ms to 30 ms"])
        #expect(part.headlines.map(\.value) == ["50 ms", "20 ms"])
        let gaps = try part.plot("What the guest suffered, run by run")
        #expect(try gaps.series("gap from outside").points.map(\.x) == [80, 20, 50, 10, 30])
        #expect(page.parts[4].title == "Run 4: userfault, unix")
    }

    @Test func `every headline number has a row`() throws {
        let page = try Page(files(like: Reports.nowait, gaps: [1000, 2000]))
        let names = try page.parts[0].section("All numbers").tables[0].rows.map(\.name)
        for name in [
            "gap from outside", "  before", "downtime", "  save", "  send", "  wire", "  load",
            "  start", "quiesce", "postcopy", "total", "work lost", "fault latency p50",
            "fault latency p99", "page requests", "bytes on the lanes", "CPU time, source",
            "CPU time, destination",
        ] {
            #expect(names.contains(name), "\(name)")
        }
    }

    @Test func `latencies are cumulated up to all faults`() throws {
        let page = try Page(
            files(like: Reports.nowait, gaps: [1000])
                + files(like: Reports.userfault, gaps: [2000])
        )
        let plot = try page.parts[0].plot("Fault latency of all runs")
        for series in plot.series {
            let shares = series.points.map(\.y)
            #expect(shares.first == 0)
            #expect(shares.last == 100)
            #expect(shares == shares.sorted())
        }
        #expect(plot.series.map(\.name) == ["nowait, ring", "userfault, unix"])
    }

    @Test func `a run that failed is named`() throws {
        var files = try files(like: Reports.nowait, gaps: [1000, 2000])
        var report = try Reports.json("nowait-destination")
        report["outcome"] = "guest_lost"
        report["session_identity"] = nil
        files.append(try Reports.file(report))
        let problem = try #require(try Page(files).parts[0].problem)
        #expect(problem.contains("Run 3: nowait, ring"))
        #expect(!problem.contains("Run 1"))
    }
}
