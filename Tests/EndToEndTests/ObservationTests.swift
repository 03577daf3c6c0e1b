// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import ProcessSupport
import Telemetry
import Testing

extension EndToEndTests {
    /// What programs are told of a migration: `--events` and `--metrics`.
    @Suite struct Observations {
        private static let phases = ["setup", "switchover", "postcopy", "completed"]

        /// What stands in a file of events, of which every line is one.
        private func events(_ path: String) throws -> [MigrationEvent] {
            let data = try #require(FileManager.default.contents(atPath: path))
            let text = String(decoding: data, as: UTF8.self)
            #expect(text.hasSuffix("\n"))
            return try text.split(separator: "\n").map {
                try JSONDecoder().decode(MigrationEvent.self, from: Data($0.utf8))
            }
        }

        private func expectWholeStory(
            _ events: [MigrationEvent],
            of report: MigrationReport,
            location: SourceLocation = #_sourceLocation
        ) {
            let changes = events.filter { $0.event == .phase }
            #expect(
                changes.compactMap(\.from) == Array(Self.phases.dropLast()),
                sourceLocation: location
            )
            #expect(
                changes.compactMap(\.to) == Array(Self.phases.dropFirst()),
                sourceLocation: location
            )
            #expect(events.count { $0.event == .connected } == 1, sourceLocation: location)
            #expect(events.map(\.sequence) == Array(1...UInt64(events.count)))
            #expect(events.map(\.monotonic) == events.map(\.monotonic).sorted())
            #expect(events.allSatisfy { $0.role == report.role }, sourceLocation: location)
            let last = events.last
            #expect(last?.event == .outcome, sourceLocation: location)
            #expect(last?.outcome == .completed && last?.dropped == 0, sourceLocation: location)
            #expect(last?.downtimeMicroseconds == report.switchover?.downtimeMicroseconds)
        }

        /// Nobody is told anything while the guest stands still.
        private func expectSilence(
            _ events: [MigrationEvent],
            in timeline: Timeline,
            location: SourceLocation = #_sourceLocation
        ) throws {
            let pause = try #require(timeline.pause)
            let run = try #require(timeline.run)
            #expect(
                events.allSatisfy { $0.monotonic <= pause || $0.monotonic >= run },
                sourceLocation: location
            )
        }

        private func expectMetrics(
            _ path: String,
            of report: MigrationReport,
            guest: String?
        ) throws {
            let data = try #require(FileManager.default.contents(atPath: path))
            let families = try PrometheusParser.parse(String(decoding: data, as: UTF8.self))
            func samples(_ name: String) -> [PrometheusParser.Sample] {
                families.first { $0.name == name }?.samples ?? []
            }
            for sample in families.flatMap(\.samples) {
                #expect(sample.labels["role"] == report.role.rawValue)
                #expect(sample.labels["guest"] == guest)
            }
            let phase = samples("apus_migration_phase").filter { $0.number == 1 }
            #expect(phase.map { $0.labels["phase"] } == ["completed"])
            let outcome = samples("apus_migration_outcome").filter { $0.number == 1 }
            #expect(outcome.map { $0.labels["outcome"] } == ["completed"])
            let pages = samples("apus_migration_pages").map(\.number).reduce(0, +)
            #expect(pages == Double(report.pages.total))
            let wire = samples("apus_migration_wire_bytes").map(\.number)
            #expect(wire == [Double(report.bytes.wire)])
            let downtime = try #require(report.switchover?.downtimeMicroseconds)
            #expect(
                samples("apus_migration_downtime_seconds").map(\.number) == [
                    Double(downtime) / 1e6
                ]
            )
            let latency = "apus_migration_fault_latency_seconds"
            let count = samples(latency).first { $0.name == latency + "_count" }
            #expect(count?.number == report.faults?.latency.map { Double($0.count) })
        }

        @Test(
            .enabled(if: PrometheusParser.runsTests, "needs python3-prometheus-client")
        )
        func `both sides tell events and metrics of the same migration`() throws {
            let bench = try Bench()
            let file = ["source.events", "source.prom", "destination.events", "destination.prom"]
                .map { bench.folder.file($0) }
            let source = try bench.source(
                memory: "64M",
                vCPUs: 2,
                ["--events", file[0], "--metrics", file[1]]
            )
            let destination = try bench.destination(
                to: source.address(),
                ["--events", file[2], "--metrics", file[3], "--run-after", "100ms"]
            )
            #expect(try destination.waitForEnd() == .exited(0), "\(destination.log)")
            let report = try expectSuccess(from: source, to: destination)
            let sent = try source.report()
            let left = try events(file[0])
            let right = try events(file[2])
            expectWholeStory(left, of: sent)
            expectWholeStory(right, of: report)
            try expectSilence(left, in: sent.timeline)
            try expectSilence(right, in: report.timeline)
            let guest = try #require(left.first { $0.event == .connected }?.guest)
            #expect(right.first { $0.event == .connected }?.guest == guest)
            #expect(right.first { $0.event == .connected }?.peer == report.transport.address)
            #expect(right.contains { $0.text?.hasPrefix("fault path ") == true })
            try expectMetrics(file[1], of: sent, guest: guest)
            try expectMetrics(file[3], of: report, guest: guest)
        }

        @Test func `a guest that travels on is told of in one stream, in both roles`() throws {
            let bench = try Bench()
            let first = try bench.source()
            let path = bench.folder.file("events")
            let middle = try bench.destination(
                to: first.address(),
                ["--events", path, "--listen", bench.folder.address()]
            )
            let last = try bench.destination(to: middle.address(), ["--run-after", "0s"])
            #expect(try last.waitForEnd() == .exited(0), "\(last.log)")
            #expect(try middle.waitForEnd() == .exited(0), "\(middle.log)")
            let events = try self.events(path)
            let ends = events.filter { $0.event == .outcome }
            #expect(ends.map(\.role) == [.destination, .source])
            #expect(ends.map(\.outcome) == [.completed, .completed])
            #expect(events.last == ends.last)
            #expect(Set(events.compactMap(\.guest)).count == 1)
        }

        @Test func `a migration that cannot begin ends its stream with the reason`() throws {
            let bench = try Bench()
            let path = bench.folder.file("events")
            let destination = try bench.destination(
                to: bench.folder.address(),
                ["--events", path]
            )
            #expect(try destination.waitForEnd() == .exited(69), "\(destination.log)")
            let events = try self.events(path)
            #expect(events.map(\.event) == [.phase, .outcome])
            #expect(events.last?.outcome == .cancelled)
            #expect(events.last?.error?.contains("no source listens there") == true)
        }

        @Test func `an open descriptor takes events, too`() throws {
            let bench = try Bench()
            let path = bench.folder.file("events")
            let source = try bench.source(
                ["--events", "fd:7"],
                through: ["sh", "-c", "exec \"$@\" 7>>\(path)", "sh"]
            )
            let destination = try bench.destination(to: source.address(), ["--run-after", "0s"])
            #expect(try destination.waitForEnd() == .exited(0), "\(destination.log)")
            try expectSuccess(from: source, to: destination)
            expectWholeStory(try events(path), of: try source.report())
        }

        @Test func `a reader that does not read, and one that is gone, hold nothing up`() throws {
            for isGone in [false, true] {
                let bench = try Bench()
                let path = bench.folder.file("fifo")
                #expect(unsafe mkfifo(path, 0o600) == 0)
                // Opened for both: opening waits for nobody then.
                let reader = try #require(FileHandle(forUpdatingAtPath: path))
                let flags = fcntl(reader.fileDescriptor, F_GETFL)
                _ = fcntl(reader.fileDescriptor, F_SETFL, flags | O_NONBLOCK)
                let junk = [UInt8](repeating: 0x78, count: 4096)
                while unsafe write(reader.fileDescriptor, junk, junk.count) > 0 {}
                let source = try bench.source(["--events", path])
                if isGone { try reader.close() }
                let destination = try bench.destination(
                    to: source.address(),
                    ["--run-after", "0s"]
                )
                #expect(try destination.waitForEnd() == .exited(0), "\(destination.log)")
                try expectSuccess(from: source, to: destination)
                if !isGone { try reader.close() }
            }
        }
    }
}

extension String {
    /// An address without what a report adds to it.
    fileprivate var address: String { String(split(separator: ",")[0]) }
}
