// SPDX-License-Identifier: Apache-2.0

import ReportPage
import Testing

/// A delay of 10 ms in each stage is drawn as the stage it was in.
@Suite struct DelayTests {
    private static let parts = ["save", "send", "wire", "load", "start"]

    @Test(arguments: 0..<5) func `a delay in a part of the downtime`(delayed: Int) throws {
        let page = try Reports.page(changing: "nowait-destination") { report in
            for (index, part) in Self.parts.enumerated() {
                report[object: "switchover"]["\(part)_us"] = index == delayed ? 10_000 : 100
            }
        }
        let plot = try page.parts[0].plot("The downtime and its parts")
        for (index, part) in Self.parts.enumerated() {
            let bar = try plot.bar(part)
            #expect(abs(bar.high - bar.low - (index == delayed ? 10 : 0.1)) < 1e-5)
        }
    }

    private static let stages = [
        ("sent", "sent_ns"), ("served", "served_ns"), ("received", "received_ns"),
        ("installed", "installed_ns"), ("re-entered", "ended_ns"),
    ]

    @Test(arguments: 0..<5) func `a delay in a stage of a fault`(delayed: Int) throws {
        let page = try Reports.page(changing: "nowait-destination") { report in
            var sample: Reports.JSON = ["kind": "exit", "vcpu": 3]
            var now = try report[object: "timeline"].number("run_ns")
            sample["seen_ns"] = now
            for (index, stage) in Self.stages.enumerated() {
                now += index == delayed ? 10_000_000 : 50_000
                sample[stage.1] = now
            }
            report[object: "faults"]["first_faults"] = [sample]
        }
        let plot = try page.parts[0].plot("Faults from beginning to end")
        #expect(plot.categories == ["1: vCPU 3"])
        for (index, stage) in Self.stages.enumerated() {
            let point = try #require(try plot.series(stage.0).points.first)
            let length = point.x - (point.low ?? 0)
            #expect(abs(length - (index == delayed ? 10 : 0.05)) < 1e-5)
        }
    }
}
