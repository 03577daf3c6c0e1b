// SPDX-License-Identifier: Apache-2.0

import Foundation
import ReportPage
import Testing

/// Numbers of the page against those computed here, from the instants in the file.
@Suite struct KnownRunTests {
    private let part: PagePart
    private let destination: Reports.JSON
    private let source: Reports.JSON

    init() throws {
        part = try Reports.page(Reports.nowait).parts[0]
        destination = try Reports.json("nowait-destination")
        source = try Reports.json("nowait-source")
    }

    private func milliseconds(from start: String, to end: String) throws -> Double {
        let timeline = destination[object: "timeline"]
        return try Double(timeline.number(end) - timeline.number(start)) / 1e6
    }

    private func expectNear(_ value: Double, _ expected: Double) {
        // Lengths in a report are of whole microseconds.
        #expect(abs(value - expected) <= 0.0011, "\(value), not \(expected)")
    }

    @Test func `the headlines are the instants' own differences`() throws {
        let downtime = try milliseconds(from: "pause_ns", to: "run_ns")
        #expect(try part.headline("Downtime").value == String(format: "%.1f ms", downtime))
        let gap = try Double(destination[object: "gaps"].number("outside_gap_us")) / 1000
        #expect(gap > downtime)
        let headline = try part.headline("Gap seen from outside")
        #expect(headline.value == String(format: "%.1f ms", gap))
        let before = try Double(destination[object: "gaps"].number("outside_gap_before_us")) / 1000
        #expect(headline.note.contains(String(format: "%.1f ms before", before)))
        #expect(headline.isMain)
        let postcopy = try milliseconds(from: "run_ns", to: "last_page_ns") / 1000
        #expect(try part.headline("Postcopy").value == String(format: "%.2f s", postcopy))
        #expect(try part.headline("Memory").value == "intact")
        #expect(part.problem == nil)
    }

    @Test func `parts of the downtime lie end to end, from the pause to the run`() throws {
        let plot = try part.plot("The downtime and its parts")
        #expect(plot.categories == ["quiesce", "save", "send", "wire", "load", "start"])
        let steps = [
            ("quiesce", "pause_requested_ns"), ("save", "pause_ns"), ("send", "state_saved_ns"),
            ("wire", "state_sent_ns"), ("load", "state_received_ns"), ("start", "state_loaded_ns"),
            ("", "run_ns"),
        ]
        for (step, next) in zip(steps, steps.dropFirst()) {
            let bar = try plot.bar(step.0)
            expectNear(bar.high - bar.low, try milliseconds(from: step.1, to: next.1))
        }
        #expect(try plot.bar("quiesce").high == 0)
        let end = try plot.bar("start").high
        #expect(abs(end - (try milliseconds(from: "pause_ns", to: "run_ns"))) < 0.004)
    }

    @Test func `the whole migration is to scale`() throws {
        let plot = try part.plot("The whole migration")
        expectNear(try plot.bar("downtime").high, try milliseconds(from: "pause_ns", to: "run_ns"))
        expectNear(try plot.bar("postcopy").low, try milliseconds(from: "pause_ns", to: "run_ns"))
        let last = try milliseconds(from: "pause_ns", to: "last_page_ns")
        expectNear(try plot.bar("postcopy").high, last)
        let gaps = destination[object: "gaps"]
        let pause = try destination[object: "timeline"].number("pause_ns")
        let began = try Double(gaps.number("outside_gap_began_ns") - pause) / 1e6
        let bar = try plot.bar("gap from outside")
        expectNear(bar.low, began)
        expectNear(bar.high - bar.low, try Double(gaps.number("outside_gap_us")) / 1000)
    }

    @Test func `faults in the gap are those that overlap it, cut at their stages`() throws {
        let gaps = destination[object: "gaps"]
        let began = try gaps.number("outside_gap_began_ns")
        let ended = try began + gaps.number("outside_gap_us") * 1000
        let samples = try #require(
            destination[object: "faults"]["first_faults"] as? [Reports.JSON]
        )
        let inside = try samples.filter {
            try $0.number("ended_ns") >= began && $0.number("seen_ns") <= ended
        }
        let plot = try part.plot("Faults from beginning to end")
        #expect(!inside.isEmpty)
        #expect(plot.categories.count == inside.count)
        let stages = [
            ("sent", "sent_ns"), ("served", "served_ns"), ("received", "received_ns"),
            ("installed", "installed_ns"), ("re-entered", "ended_ns"),
        ]
        let pause = try destination[object: "timeline"].number("pause_ns")
        for (row, sample) in inside.enumerated() where sample["kind"] as? String == "exit" {
            var before = try sample.number("seen_ns")
            for (name, key) in stages {
                // In emulation clocks of two processors may differ a little.
                let end = max(before, try sample.number(key))
                let points = try plot.series(name).points
                let point = try #require(points.first { $0.y == Double(row) })
                #expect(abs((point.low ?? 0) - Double(before - pause) / 1e6) < 1e-5)
                #expect(abs(point.x - Double(end - pause) / 1e6) < 1e-5)
                before = end
            }
        }
    }

    @Test func `progress and faults lie where they happened`() throws {
        let plot = try part.plot("Pages verified and changed by the guest")
        let timeline = destination[object: "timeline"]
        let pause = try timeline.number("pause_ns")
        #expect(try plot.series("pause").points[0].x == 0)
        let last = try Double(timeline.number("last_page_ns") - pause) / 1e6
        #expect(abs(try plot.series("last page").points[0].x - last) < 1e-5)
        for (name, json) in [("at the source", source), ("at the destination", destination)] {
            let progress = json[object: "guest_progress"]
            let began = try Double(progress.number("began_ns") - pause) / 1e6
            let values = try #require(progress["iterations"] as? [Int])
            for point in try plot.series(name).points.dropLast() {
                let index = Int(((point.x - began) / 10).rounded())
                #expect(point.y == Double(values[index]))
            }
        }
        let faults = try #require(
            destination[object: "faults"][object: "fault_series"]["count"] as? [Int]
        )
        let drawn = try plot.series("faults").points.dropLast().map(\.y)
        #expect(drawn.reduce(0, +) == Double(faults.reduce(0, +)))
    }

    @Test func `work lost is what the pace of the last second would have done`() throws {
        let timeline = destination[object: "timeline"]
        let (pause, run) = (try timeline.number("pause_ns"), try timeline.number("run_ns"))
        let before = try #require(source[object: "guest_progress"]["iterations"] as? [Int])
        let pace = Double(before.suffix(100).reduce(0, +)) / 100
        let after = try #require(destination[object: "guest_progress"]["iterations"] as? [Int])
        let count = try (timeline.number("last_page_ns") - run) / 10_000_000
        let done = Double(after.prefix(count).reduce(0, +))
        let lost = Double(run - pause) / 1e6 + (Double(count) - done / pace) * 10
        #expect(try part.headline("Work lost").value == String(format: "%.2f s", lost / 1000))
    }

    @Test func `pages, bytes, blocked time and CPU time are the file's`() throws {
        let pages = destination[object: "pages"]
        let plot = try part.plot("Pages by how they came")
        var sum = 0.0
        for kind in ["requested", "prefetched", "streamed", "zero", "duplicate"] {
            #expect(try plot.bar(kind).high == Double(pages.number(kind)))
            if kind != "zero" && kind != "duplicate" { sum += try plot.bar(kind).high }
        }
        #expect(sum == Double(try pages.number("total")))
        let blocked = try #require(
            destination[object: "faults"]["postcopy_vcpu_blocktime_us"] as? [Int]
        )
        let blockPlot = try part.plot("Time blocked on absent pages")
        for (index, time) in blocked.enumerated() {
            #expect(try blockPlot.bar("vCPU \(index)").high == Double(time) / 1000)
        }
        let cost = try part.section("Cost").tables[0]
        #expect(cost.columns.dropFirst().sorted() == ["destination", "source"])
        let cpu = try source[object: "resources"].number("process_cpu_us")
        #expect(try cost.row("CPU time").contains(String(format: "%.1f s", Double(cpu) / 1e6)))
    }

    @Test func `precopy rounds, where there are any, are the file's`() throws {
        let page = try Reports.page(changing: "nowait-destination") { report in
            report["precopy"] = Reports.precopy
        }
        let section = try #require(page.parts.first).section("Pages and bytes")
        #expect(try section.plots[0].bar("precopied").high == 15_000)
        let table = try #require(section.tables.last)
        #expect(table.rows.map(\.name) == ["1", "2"])
        #expect(try table.row("1").contains("400 ms"))
        #expect(try table.row("2").contains("in the pause"))
        #expect(table.footnote?.contains("discarded") == true)
    }

    @Test func `percentiles and buckets are the file's`() throws {
        let times = try #require(destination[object: "faults"]["fault_times"] as? [Reports.JSON])
        let exits = try #require(times.first { $0["kind"] as? String == "exit" })
        let latency = exits[object: "latency"]
        let plot = try part.plot("Faults by how long they took")
        let buckets = try #require(latency["log2_us_buckets"] as? [Int])
        #expect(try plot.series("exit").points.map { Int($0.y) } == buckets.filter { $0 > 0 })
        let section = try part.section("Fault latency")
        let p50 = try Double(latency.number("p50_ns")) / 1000
        #expect(try section.tables[0].row("exit")[2] == String(format: "%.0f µs", p50))
        let stages = try part.plot("The stages inside a fault")
        let served = try stages.bar("served (exit)")
        #expect(served.low == Double(try exits[object: "served"].number("p50_ns")) / 1000)
        #expect(served.high == Double(try exits[object: "served"].number("p99_ns")) / 1000)
    }
}
