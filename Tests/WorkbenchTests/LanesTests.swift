// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

/// Runs of `apus bench lanes`, tiny ones.
@Suite(
    .serialized,
    .enabled(if: HostFacts.runsMigrationTests, "needs KVM and userfaultfd"),
    .timeLimit(.minutes(2))
)
struct LanesTests {
    private static let tiny = [
        "--rounds", "2", "--trips", "100", "-b", "1M", "--latency-bytes", "128M",
        "--sizes", "1M,2M",
    ]

    /// A metric, by the names that its JSON has.
    private struct Metric: Decodable {
        let format_version: Int
        let kind: String
        let metric: String
        let unit: String
        let ceiling_of: String
        let value: Double
        let ceiling: Double
        let ratio: Double
        let values: [Double]
        let ceilings: [Double]
    }

    private func metrics(_ flags: [String]) throws -> [Metric] {
        let (code, text) = Workbench.lanes(Self.tiny + flags + ["--json"])
        try #require(code == 0, "\(text)")
        // Other lines are notes, such as that of a busy host.
        return try text.split(separator: "\n").filter { $0.hasPrefix("{") }.map { line in
            try JSONDecoder().decode(Metric.self, from: Data(line.utf8))
        }
    }

    @Test func `each metric is a line with values beside ceilings`() throws {
        let metrics = try metrics([])
        let media = ["ring", "unix", "tcp"]
        let ways = ["continue", "copy", "zero"]
        let expected =
            media.map { "round-trip-\($0)" }
            + media.flatMap { ["stream-\($0)-memfd", "stream-\($0)-anonymous"] }
            + media.map { "latency-\($0)" } + ["recording-ring", "recording-unix"]
            + ways.flatMap { ["install-\($0)-1M", "install-\($0)-2M"] }
            + ["stages-memfd", "stages-anonymous"] + media.map { "allocations-\($0)" }
            + ways.flatMap { ["verification-\($0)-1M", "verification-\($0)-2M"] }
            + ways.map { "growth-\($0)-2M" }
        #expect(metrics.map(\.metric) == expected)
        for metric in metrics {
            #expect(metric.format_version == 1)
            #expect(metric.metric.hasPrefix(metric.kind))
            #expect(!metric.ceiling_of.isEmpty)
            #expect(metric.values.count == 2 && metric.ceilings.count == 2)
            // A machine with other things to do is slow, but not a million times.
            let plausible = metric.unit == "ns" ? 10...1e9 : 100...1e9
            if metric.kind == "allocations" {
                // The threads that have just been started may have something to allocate.
                #expect(metric.values.allSatisfy { (0...100).contains($0) }, "\(metric)")
                continue
            }
            let numbers = metric.values + metric.ceilings + [metric.value, metric.ceiling]
            #expect(numbers.allSatisfy(plausible.contains), "\(metric)")
            let ratios = zip(metric.values, metric.ceilings).map { $0 / $1 }
            let mean = ratios.reduce(0, +) / 2
            #expect(abs(metric.ratio - mean) < 1e-6 * metric.ratio)
        }
    }

    @Test func `too little memory to tell what recording costs is refused with the remedy`() {
        let (code, text) = Workbench.lanes(["--only", "recording", "--latency-bytes", "64K"])
        #expect(code != 0)
        #expect(text.contains("raise --latency-bytes"), "\(text)")
    }

    @Test func `only what is asked for is measured`() throws {
        let names = try metrics(["--only", "round-trip-unix,growth-zero"]).map(\.metric)
        #expect(names == ["round-trip-unix", "growth-zero-2M"])
    }

    @Test func `a ratio beyond its limit, or not measured, fails the run after the table`() {
        let only = Self.tiny + ["--only", "round-trip-ring,install-zero-1M"]
        let (code, text) = Workbench.lanes(
            only + ["--require", "round-trip=0.0001,install=1000,stream=0.1"]
        )
        #expect(code == 1)
        #expect(text.contains("bare ping-pong"), "\(text)")
        #expect(text.contains("stream was not measured"), "\(text)")
        #expect(text.contains("round-trip-ring is "), "\(text)")
        #expect(text.contains("not at least 1000"), "\(text)")

        let met = Workbench.lanes(
            only + ["--require", "round-trip=1e9,install=1000,install-zero=1e-9"]
        )
        #expect(met.code == 0, "\(met.text)")
    }
}
