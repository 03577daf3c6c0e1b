// SPDX-License-Identifier: Apache-2.0

import Foundation
import LinuxSystem
import Telemetry
import Testing

@Suite struct ReportFileTests: ~Copyable {
    private let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory
            .appending(path: "apus-report-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    }

    deinit {
        try? FileManager.default.removeItem(at: folder)
    }

    private func path(_ name: String) -> String { folder.appending(path: name).path }

    @Test func `a report is read back as it was written`() throws {
        for report in [Samples.completed, Samples.failed] {
            try ReportFile.write(report, to: path("report.json"))
            #expect(try ReportFile.read(path("report.json")) == report)
        }
        // No temporary file stays behind.
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(names == ["report.json"])
    }

    @Test func `equal reports are equal bytes`() throws {
        #expect(try ReportFile.encode(Samples.completed) == ReportFile.encode(Samples.completed))
    }

    @Test func `names are the documented ones`() throws {
        let text = String(decoding: try ReportFile.encode(Samples.completed), as: UTF8.self)
        #expect(Set(keys(in: text)) == Self.documentedKeys)
    }

    @Test func `a failed migration has no results`() throws {
        let text = String(decoding: try ReportFile.encode(Samples.failed), as: UTF8.self)
        #expect(text.contains("\"outcome\" : \"failed\""))
        #expect(text.contains("\"transport\" : \"tcp:127.0.0.1:4000\""))
        for key in ["switchover", "faults", "postcopy_us", "walker", "match", "pause_ns"] {
            #expect(!keys(in: text).contains(key))
        }
    }

    @Test func `a link is followed, not replaced`() throws {
        try ReportFile.write(Samples.completed, to: path("target.json"))
        try FileManager.default.createSymbolicLink(
            atPath: path("link.json"),
            withDestinationPath: path("target.json")
        )
        try ReportFile.write(Samples.failed, to: path("link.json"))
        #expect(try ReportFile.read(path("target.json")) == Samples.failed)
    }

    @Test func `a missing folder is named`() throws {
        let missing = path("no/such/report.json")
        let error = #expect(throws: ReportFileError.self) {
            try ReportFile.write(Samples.completed, to: missing)
        }
        let text = try #require(error).description
        #expect(text.hasPrefix("report \(missing): "))
        #expect(text.hasSuffix("(ENOENT)"))
    }

    @Test func `another format version is refused with both numbers`() throws {
        var report = Samples.completed
        report.formatVersion = 3
        try ReportFile.write(report, to: path("report.json"))
        #expect(
            throws: ReportFileError.unreadable(
                path: path("report.json"),
                reason: "format version 3, not 2"
            )
        ) {
            try ReportFile.read(path("report.json"))
        }
    }

    @Test func `a number JSON does not have is an error`() {
        var report = Samples.completed
        report.resources.metadataBytesPerPage = .infinity
        let file = path("report.json")
        #expect(throws: ReportFileError.self) { try ReportFile.write(report, to: file) }
    }

    /// The quoted words before a colon, at all depths.
    private func keys(in json: String) -> [String] {
        json.split(separator: "\n").compactMap { line in
            let parts = line.split(separator: "\"", maxSplits: 2)
            guard parts.count == 3, parts[2].hasPrefix(" :") else { return nil }
            return String(parts[1])
        }
    }

    /// What programs that read reports depend on; removing a name makes a new format version.
    private static let documentedKeys: Set<String> = [
        "format_version", "role", "machine", "fault_path", "transport", "session_identity",
        "outcome", "timeline", "switchover", "gaps", "postcopy_us", "total_us", "pages", "bytes",
        "faults", "digest", "resources", "walker",
        "guest", "vcpu_count", "memory_bytes", "page_bytes", "backing",
        "pause_requested_ns", "pause_ns", "state_saved_ns", "state_sent_ns", "state_received_ns",
        "state_loaded_ns", "run_ns", "first_fault_ns", "last_page_ns", "done_ns",
        "clocks_comparable", "downtime_us", "quiesce_us", "save_us", "send_us", "wire_us",
        "load_us", "start_us",
        "outside_gap_us", "outside_gap_before_us", "outside_gap_after_us", "guest_gap_us",
        "total", "requested", "prefetched", "streamed", "zero", "duplicate",
        "raw_bytes", "wire_bytes",
        "requests", "faults_vcpu", "faults_other", "fault_latency",
        "count", "mean_ns", "p50_ns", "p90_ns", "p99_ns", "p99_9_ns", "max_ns", "log2_us_buckets",
        "source", "destination", "match",
        "process_cpu_us", "resident_peak_bytes", "resident_beyond_guest_bytes",
        "metadata_bytes_per_page", "iterations", "passes_per_vcpu",
    ]
}
