// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import ProcessSupport
import Telemetry
import Testing

/// What Prometheus is told, as somebody else's parser reads it.
@Suite(
    .timeLimit(.minutes(2)),
    .enabled(if: PrometheusParser.runsTests, "needs python3-prometheus-client")
)
struct MetricsTests {
    private static let phases = ["setup", "switchover", "postcopy", "completed", "cancelled"]

    private static func metrics() -> MigrationMetrics {
        MigrationMetrics(.destination, phases: phases, start: 1_700_000_000.25)
    }

    private static func progress() -> TransferProgress {
        var progress = TransferProgress(
            percent: 42.5,
            pagesPerSecond: 100,
            bytesPerSecond: 409_600,
            requestsOutstanding: 3,
            secondsLeft: 2
        )
        progress.pages = Samples.completed.pages
        return progress
    }

    /// The values of a family by its label, each with the labels that all have.
    private func values(
        _ families: [PrometheusParser.Family],
        _ name: String,
        by label: String
    ) throws -> [String: Double] {
        let family = try #require(families.first { $0.name == name }, "no \(name)")
        return Dictionary(
            uniqueKeysWithValues: family.samples.map { ($0.labels[label] ?? "", $0.number) }
        )
    }

    private func value(_ families: [PrometheusParser.Family], _ name: String) throws -> Double {
        let family = try #require(families.first { $0.name == name }, "no \(name)")
        #expect(family.samples.count == 1)
        return family.samples[0].number
    }

    @Test func `a migration that has just begun tells its phase, and nothing it does not know`()
        throws
    {
        let families = try PrometheusParser.parse(Self.metrics().text)
        #expect(
            families.map(\.name) == [
                "apus_migration_phase", "apus_migration_phase_start_time_seconds",
                "apus_migration_outcome",
            ]
        )
        let states = try values(families, "apus_migration_phase", by: "phase")
        #expect(
            states == [
                "setup": 1, "switchover": 0, "postcopy": 0, "completed": 0, "cancelled": 0,
            ]
        )
        let outcomes = try values(families, "apus_migration_outcome", by: "outcome")
        #expect(outcomes.count == 5 && outcomes.values.allSatisfy { $0 == 0 })
        #expect(
            try value(families, "apus_migration_phase_start_time_seconds") == 1_700_000_000.25
        )
    }

    @Test func `progress is told as it is`() throws {
        var metrics = Self.metrics()
        metrics.phase = "postcopy"
        metrics.guest = "00ff"
        metrics.progress = Self.progress()
        let families = try PrometheusParser.parse(metrics.text)
        #expect(try value(families, "apus_migration_arrived_ratio") == 0.425)
        #expect(try value(families, "apus_migration_requests_outstanding") == 3)
        let pages = try values(families, "apus_migration_pages", by: "how")
        #expect(pages == ["requested": 812, "prefetched": 96, "streamed": 130_164])
        for sample in families.flatMap(\.samples) {
            #expect(sample.labels["role"] == "destination" && sample.labels["guest"] == "00ff")
        }
    }

    @Test func `precopy is told at the end`() throws {
        var metrics = Self.metrics()
        metrics.phase = "completed"
        var report = Samples.completed
        report.precopy = Samples.precopy
        metrics.ending = MigrationEnding(report)
        let families = try PrometheusParser.parse(metrics.text)
        #expect(try value(families, "apus_migration_precopy_rounds") == 2)
        #expect(try value(families, "apus_migration_discarded_pages") == 1384)
        let pages = try values(families, "apus_migration_pages", by: "how")
        #expect(pages["precopied"] == 15_000)
    }

    @Test func `the end is told in base units`() throws {
        var metrics = Self.metrics()
        metrics.phase = "completed"
        metrics.progress = Self.progress()
        metrics.ending = MigrationEnding(Samples.completed)
        let report = Samples.completed
        let families = try PrometheusParser.parse(metrics.text)
        let outcomes = try values(families, "apus_migration_outcome", by: "outcome")
        #expect(outcomes.filter { $0.value == 1 }.map(\.key) == ["completed"])
        #expect(try value(families, "apus_migration_arrived_ratio") == 1)
        #expect(try value(families, "apus_migration_requests_outstanding") == 0)
        let downtime = try #require(report.switchover?.downtimeMicroseconds)
        #expect(
            try value(families, "apus_migration_downtime_seconds") == Double(downtime) / 1e6
        )
        let gaps = try values(families, "apus_migration_guest_gap_seconds", by: "clock")
        #expect(gaps == ["outside": 0.0099, "guest": 0.005])
        #expect(try value(families, "apus_guest_memory_bytes") == Double(512 << 20))
        #expect(try value(families, "apus_migration_raw_bytes") == Double(512 << 20))
        #expect(try value(families, "apus_migration_wire_bytes") == Double(310 << 20))
        #expect(try value(families, "apus_migration_duration_seconds") == 1.03)
        #expect(try value(families, "apus_migration_zero_pages") == 26_214)
        #expect(try value(families, "apus_migration_duplicate_pages") == 3)
        let types = Dictionary(uniqueKeysWithValues: families.map { ($0.name, $0.type) })
        #expect(types["apus_migration_pages"] == "counter")
        #expect(types["apus_migration_phase"] == "gauge")
        #expect(types["apus_migration_fault_latency_seconds"] == "histogram")
    }

    @Test func `fault latency is a histogram whose buckets are those that were counted`() throws {
        var histogram = LatencyHistogram()
        let latencies: [UInt64] = [300, 1500, 1999, 5000, 70_000, 30_000_000_000]
        for latency in latencies { histogram.record(nanoseconds: latency) }
        var report = Samples.completed
        report.faults?.latency = LatencySummary(histogram)
        var metrics = Self.metrics()
        metrics.ending = MigrationEnding(report)
        let families = try PrometheusParser.parse(metrics.text)
        let name = "apus_migration_fault_latency_seconds"
        let family = try #require(families.first { $0.name == name })
        let buckets = family.samples.filter { $0.name == name + "_bucket" }
        #expect(buckets.count == 24 && buckets.last?.labels["le"] == "+Inf")
        for bucket in buckets {
            let end = try #require(Double(bucket.labels["le"] ?? ""))
            let below = latencies.count { Double($0) / 1e9 < end }
            #expect(bucket.number == Double(below), "up to \(end) s")
        }
        let sum = try #require(family.samples.first { $0.name == name + "_sum" }).number
        #expect(abs(sum - Double(latencies.reduce(0, +)) / 1e9) < 1e-6)
        let count = try #require(family.samples.first { $0.name == name + "_count" }).number
        #expect(count == 6)
    }

    @Test func `labels and help may hold any text`() throws {
        let nasty = "back\\slash \"quote\" new\nline ünïcödé"
        var text = PrometheusText(common: [("label", nasty)])
        text.add("apus_test_value", .gauge, nasty, [([], 1e-9), ([("more", "")], -.infinity)])
        text.add("apus_test_nothing", .gauge, "Not there.", nil)
        let families = try PrometheusParser.parse(text.text)
        #expect(families.count == 1)
        #expect(families[0].help == nasty)
        #expect(families[0].samples.map { $0.labels["label"] } == [nasty, nasty])
        #expect(families[0].samples.map(\.value) == ["1e-09", "-inf"])
    }

    @Test func `the file is replaced whole, and at most once a second by progress`() throws {
        let folder = "/tmp/apus-metrics.\(getpid()).\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(
            atPath: folder,
            withIntermediateDirectories: false
        )
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/apus.prom"
        let observer = MetricsObserver(path, as: .source, phases: Self.phases) { _ in
            Issue.record("the file could not be written")
        }
        func inode() throws -> Int? {
            try FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? Int
        }
        func text() -> String {
            String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
        }
        observer.connected(to: nil, guest: [0xAB])
        #expect(text().contains("guest=\"ab\""))
        let held = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        observer.phaseChanged(from: "setup", to: "switchover")
        #expect(text().contains("phase=\"switchover\"} 1"))
        let old = String(decoding: try held.readToEnd() ?? Data(), as: UTF8.self)
        #expect(old.contains("phase=\"setup\"} 1"), "written over, not replaced")
        observer.progressed(Self.progress())
        #expect(!text().contains("requests_outstanding"))
        #expect(usleep(1_000_000) == 0)
        observer.progressed(Self.progress())
        #expect(text().contains("requests_outstanding"))
        observer.ended(MigrationEnding(Samples.failed))
        #expect(text().contains("outcome=\"failed\"} 1"))
        #expect(try inode() != nil)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["apus.prom"])
    }

    @Test func `a file that can no longer be written is complained about once`() {
        var complaints: [String] = []
        let observer = MetricsObserver("/nowhere/apus.prom", as: .source, phases: Self.phases) {
            complaints.append($0)
        }
        observer.phaseChanged(from: "setup", to: "switchover")
        observer.phaseChanged(from: "switchover", to: "postcopy")
        #expect(complaints.count == 1)
        #expect(complaints.first?.contains("/nowhere/apus.prom") == true)
    }
}
