// SPDX-License-Identifier: Apache-2.0

import ReportPage
import Testing

/// Which files make one migration, and what is left where some are missing.
@Suite struct PairingTests {
    @Test func `two sides of a migration are one part, in either order`() throws {
        let page = try Reports.page(Reports.nowait)
        #expect(page.parts.count == 1)
        #expect(!page.parts[0].isCollapsed)
        let other = try Reports.page(Reports.nowait.reversed())
        #expect(other.parts[0].headlines == page.parts[0].headlines)
    }

    @Test func `two reports of the same side are refused`() throws {
        let path = Reports.path("nowait-source")
        let file = try InputFile(reading: path)
        #expect(throws: ReportPageError.twice(path, path)) { try Page([file, file]) }
    }

    @Test func `migrations and rates are not mixed`() throws {
        let migration = try InputFile(reading: Reports.path("nowait-source"))
        let rates = try InputFile(reading: Reports.path("rates"))
        for files in [[migration, rates], [rates, migration]] {
            let error = #expect(throws: ReportPageError.self) { try Page(files) }
            #expect(error == .mixed(files[0].path, files[1].path))
        }
        #expect(throws: ReportPageError.nothing) { try Page([]) }
    }

    @Test(arguments: Reports.nowait + Reports.userfault)
    func `one side alone is shown as far as it knows`(name: String) throws {
        let part = try Reports.page([name]).parts[0]
        let role = name.hasSuffix("source") ? "source" : "destination"
        #expect(part.facts.contains("only the \(role)'s report"))
        #expect(try part.headline("Downtime").value != "unknown")
        #expect(part.sections.contains { $0.title == "Fault latency" } == (role == "destination"))
        #expect(part.sections.contains { $0.title == "Pages and bytes" })
    }

    @Test func `a migration that got nowhere says why`() throws {
        let page = try Reports.page(changing: "nowait-source") { report in
            for key in ["session_identity", "switchover", "postcopy_us", "guest_progress"] {
                report[key] = nil
            }
            report["timeline"] = [String: Int]()
            report["gaps"] = [String: Int]()
            report["digest"] = [String: String]()
            report["outcome"] = "failed"
            report["error"] = "the destination closed the control lane"
        }
        let part = page.parts[0]
        #expect(part.problem == "source: the destination closed the control lane")
        #expect(part.facts.contains("failed"))
        #expect(try part.headline("Downtime").value == "unknown")
        #expect(try part.headline("Gap seen from outside").value == "unknown")
        #expect(try part.headline("Memory").value == "not compared")
    }

    @Test func `clocks of two hosts are not compared`() throws {
        let page = try Reports.page(changing: "nowait-destination") { report in
            report[object: "switchover"]["clocks_comparable"] = false
            report[object: "switchover"]["downtime_us"] = nil
            report[object: "switchover"]["wire_us"] = nil
            for key in ["outside_gap_us", "outside_gap_began_ns"] {
                report[object: "gaps"][key] = nil
            }
            // The source's clock is far from the destination's.
            for key in ["pause_requested_ns", "pause_ns", "state_saved_ns", "state_sent_ns"] {
                report[object: "timeline"][key] = 1_000_000
            }
        }
        let part = page.parts[0]
        let gap = try part.headline("Gap seen from outside")
        #expect(gap.value == "unknown")
        #expect(gap.note.contains("clocks"))
        #expect(!(try part.plot("The downtime and its parts")).categories.contains("wire"))
        // At most as long as postcopy: nothing is placed by the other host's clock.
        for plot in part.sections.flatMap(\.plots) where plot.x.unit == "ms" {
            for point in plot.series.flatMap(\.points) { #expect(abs(point.x) < 60_000) }
        }
        let fault = try part.plot("Faults from beginning to end")
        #expect(!fault.series.contains { $0.name == "served" })
    }

    @Test func `the gap is never shown shorter than the downtime`() throws {
        let page = try Reports.page(changing: "nowait-destination") { report in
            report[object: "gaps"]["outside_gap_us"] = 1000
            report[object: "switchover"]["downtime_us"] = 36_000
        }
        #expect(try page.parts[0].headline("Gap seen from outside").value == "36 ms")
    }

    @Test func `absurd numbers are shown, not computed with`() throws {
        let most = UInt64.max
        let page = try Reports.page(changing: "nowait-destination") { report in
            for key in report[object: "timeline"].keys { report[object: "timeline"][key] = most }
            for key in report[object: "gaps"].keys { report[object: "gaps"][key] = most }
            for key in report[object: "pages"].keys { report[object: "pages"][key] = most }
            for key in report[object: "bytes"].keys { report[object: "bytes"][key] = most }
            for key in ["downtime_us", "quiesce_us", "save_us", "start_us"] {
                report[object: "switchover"][key] = most
            }
            report["postcopy_us"] = most
            report[object: "machine"]["vcpu_count"] = -5
            report[object: "machine"]["memory_bytes"] = -4096
            report[object: "guest_progress"]["interval_us"] = most
            report[object: "guest_progress"]["iterations"] = [most, 0, most]
            report[object: "faults"][object: "fault_series"]["interval_us"] = 0
            report[object: "faults"]["postcopy_vcpu_blocktime_us"] = [most]
            report[object: "faults"][object: "fault_latency"]["log2_us_buckets"] = [most, most]
        }
        #expect(page.parts.count == 1)
    }
}
