// SPDX-License-Identifier: Apache-2.0

import Glibc
import ProcessSupport
import Telemetry
import TestSupport
import Testing

extension EndToEndTests {
    /// Linux boots at a source, and lives on at a destination.
    @Suite(
        .enabled(
            if: LinuxGuest.here != nil,
            "needs the testbed and deploy/guest/build; a Linux takes hours elsewhere"
        )
    )
    struct LinuxGuests {
        private let guest: LinuxGuest
        private let bench: Bench

        init() throws {
            guest = try #require(LinuxGuest.here)
            bench = try Bench()
        }

        @Test(arguments: [1, 2, 4])
        func `Linux boots on some vCPUs and powers off`(vCPUs: Int) throws {
            let console = bench.folder.file("console")
            let source = try bench.source(
                memory: "192M",
                vCPUs: vCPUs,
                guest.flags(console: console, "memory=4 for=2")
            )
            #expect(try source.waitForEnd(within: 30) == .exited(0), "\(source.log)")
            #expect(source.log.contains("the guest powered off"))
            let text = LinuxGuest.text(console)
            #expect(text.contains("observer: \(vCPUs) processors, 1024 pages"), "\(text)")
            #expect(LinuxGuest.reports(console).map(\.second) == [1, 2], "\(text)")
        }

        @Test func `a guest that wants to start again says so by the exit code`() throws {
            let console = bench.folder.file("console")
            let source = try bench.source(
                memory: "192M",
                guest.flags(console: console, "memory=4 for=1 end=reboot")
            )
            #expect(try source.waitForEnd(within: 30) == .exited(15), "\(source.log)")
        }

        @Test(arguments: [1, 2])
        func `a Linux guest moves while it verifies its memory`(vCPUs: Int) throws {
            let before = bench.folder.file("console")
            let after = bench.folder.file("console")
            let source = try bench.source(
                memory: "192M",
                vCPUs: vCPUs,
                guest.flags(console: before, "memory=8")
            )
            try LinuxGuest.wait(for: "verified pages") {
                (LinuxGuest.reports(before).last?.pages ?? 0) > 0 || !source.isRunning
            }
            let destination = try bench.destination(
                to: source.address(),
                ["--console", "file:\(after)", "--listen", bench.folder.address()]
            )
            // It listens when the report has been written.
            _ = try destination.address(within: 120)
            let atArrival = LinuxGuest.reports(after).count
            try LinuxGuest.wait(for: "report after the arrival") {
                LinuxGuest.reports(after).count >= atArrival + 3 || !destination.isRunning
            }
            #expect(try destination.end(by: SIGTERM) == .exited(0), "\(destination.log)")
            let report = try expectSuccess(from: source, to: destination)
            #expect(report.machine.guest == "linux")
            #expect((report.gaps.outsideMicroseconds ?? 0) > 0)
            expectWholeStory(before, after)
        }

        /// Both consoles together tell of every second once, of verified pages that only grow,
        /// and of nothing that went wrong.
        private func expectWholeStory(_ before: String, _ after: String) {
            let text = LinuxGuest.text(before) + LinuxGuest.text(after)
            for word in ["CORRUPTION", "panic", "soft lockup", "rcu", "unstable", "BUG", "WARN"] {
                #expect(!text.contains(word), "\(text)")
            }
            let reports = LinuxGuest.reports(in: text)
            #expect(reports.map(\.second) == Array(1...max(1, reports.count)), "\(text)")
            for (earlier, later) in zip(reports, reports.dropFirst()) {
                #expect(later.pages >= earlier.pages, "\(text)")
            }
            #expect((reports.last?.pages ?? 0) > (LinuxGuest.reports(before).last?.pages ?? 0))
        }
    }
}
