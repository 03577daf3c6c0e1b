// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import KVM
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
        let guest: LinuxGuest
        let bench: Bench

        init() throws {
            guest = try #require(LinuxGuest.here)
            bench = try Bench()
        }

        @Test(.onOnePath, arguments: [1, 2, 4])
        func `Linux boots on some vCPUs and powers off`(vCPUs: Int) throws {
            let console = bench.folder.file("console")
            let source = try bench.source(
                memory: "64M",
                vCPUs: vCPUs,
                guest.flags(console: console, "memory=4 for=2")
            )
            #expect(try source.waitForEnd(within: 30) == .exited(0), "\(source.log)")
            #expect(source.log.contains("the guest powered off"))
            let text = LinuxGuest.text(console)
            #expect(text.contains("observer: \(vCPUs) processors, 1024 pages"), "\(text)")
            #expect(LinuxGuest.reports(console).map(\.second) == [1, 2], "\(text)")
        }

        @Test(.onOnePath)
        func `a guest that wants to start again says so by the exit code`() throws {
            let console = bench.folder.file("console")
            let source = try bench.source(
                memory: "64M",
                guest.flags(console: console, "memory=4 for=1 end=reboot")
            )
            #expect(try source.waitForEnd(within: 30) == .exited(15), "\(source.log)")
        }

        @Test(arguments: FaultPathUnderTest.isTestedInFull ? [1, 2] : [2])
        func `a Linux guest moves while it verifies its memory`(vCPUs: Int) throws {
            let before = bench.folder.file("console")
            let after = bench.folder.file("console")
            let source = try bench.source(
                memory: "96M",
                vCPUs: vCPUs,
                guest.flags(console: before, "memory=8")
            )
            try LinuxGuest.wait(for: "verified pages") {
                (LinuxGuest.reports(before).last?.pages ?? 0) > 0 || !source.isRunning
            }
            let report = try move(source, to: after)
            #expect(report.machine.guest == "linux")
            expectWholeStory([before, after])
            // Its kernel went ahead, and some of that has been written since.
            let ahead = try #require(report.precopy)
            #expect(ahead.rounds.count == 1)
            #expect((1024...8192).contains(ahead.rounds[0].pages), "\(ahead)")
            #expect(ahead.discardedPages > 0)
            #expect(ahead.pages + ahead.discardedPages == ahead.rounds[0].pages)
            // All clocks of the guest went on while it stood still, and so did its heartbeat's.
            let downtime = try #require(report.switchover?.downtimeMicroseconds)
            let gaps = try #require(LinuxGuest.reports(after).last?.gaps)
            #expect(gaps.count == 3)
            for gap in gaps + [report.gaps.outsideMicroseconds ?? 0] { #expect(gap >= downtime) }
        }

        @Test(.onEachPathInFullRuns) func `an idle Linux guest moves`() throws {
            let before = bench.folder.file("console")
            let after = bench.folder.file("console")
            let source = try bench.source(
                memory: "64M",
                vCPUs: 2,
                guest.flags(console: before, "memory=0")
            )
            try LinuxGuest.wait(for: "two reports") {
                LinuxGuest.reports(before).count >= 2 || !source.isRunning
            }
            try move(source, to: after)
            expectWholeStory([before, after])
        }

        @Test(.onOnePath)
        func `precopy of an idle Linux guest with devices sends its memory once`() throws {
            let (before, after) = (bench.folder.file("console"), bench.folder.file("console"))
            let disk = bench.folder.file("disk")
            try Data(count: 1 << 20).write(to: URL(filePath: disk))
            let source = try bench.source(
                memory: "128M",
                vCPUs: 2,
                // With an address the card is up, and has buffers waiting for frames.
                guest.flags(console: before, "memory=0 answer=192.0.2.2")
                    + ["--disk", disk, "--net", "tap=apus-idle-a"]
            )
            try LinuxGuest.wait(for: "two reports") {
                LinuxGuest.reports(before).count >= 2 || !source.isRunning
            }
            let report = try move(
                source,
                to: after,
                ["--mode", "precopy", "--disk", disk, "--net", "tap=apus-idle-b"]
            )
            expectWholeStory([before, after])
            let precopy = try #require(report.precopy)
            #expect(precopy.rounds.last?.isPaused == true, "\(precopy)")
            #expect(precopy.pages == report.pages.total)
            // All rounds, that in the pause too: the first alone is the whole memory.
            let pages = precopy.rounds.map(\.pages).reduce(0, +)
            #expect(pages >= report.pages.total, "\(precopy)")
            #expect(Double(pages) <= 1.05 * Double(report.pages.total), "\(precopy)")
            let bytes = try Double(source.report().bytes.wire)
            #expect(bytes <= 1.05 * Double(report.machine.memoryBytes))
        }

        @Test(.onEachPathInFullRuns) func `a Linux guest moves while it boots`() throws {
            let before = bench.folder.file("console")
            let after = bench.folder.file("console")
            let source = try bench.source(
                memory: "64M",
                vCPUs: 2,
                guest.flags(console: before, "loglevel=7 memory=4")
            )
            try LinuxGuest.wait(for: "first words") {
                !LinuxGuest.text(before).isEmpty || !source.isRunning
            }
            try move(source, to: after)
            #expect(LinuxGuest.reports(before).isEmpty)
            let text = LinuxGuest.text(after)
            #expect(text.contains("observer: 2 processors, 1024 pages"), "\(text)")
            #expect(!text.contains("CORRUPTION"), "\(text)")
        }

        /// Moves a guest, and waits for three reports at the other side.
        ///
        /// - Returns: The destination's report.
        @discardableResult
        private func move(
            _ source: ApusProcess,
            to console: String,
            _ flags: [String] = []
        ) throws -> MigrationReport {
            let destination = try bench.destination(
                to: source.address(),
                ["--console", "file:\(console)", "--listen", bench.folder.address()] + flags
            )
            _ = try destination.address(within: 120)
            let atArrival = LinuxGuest.reports(console).count
            let goesOn = waitUntil(within: 20) {
                LinuxGuest.reports(console).count >= atArrival + 3 || !destination.isRunning
            }
            // A guest that stands still after a migration is worth a look.
            #expect(goesOn, "\(destination.log)\n\(LinuxGuest.text(console))")
            #expect(try destination.end(by: SIGTERM) == .exited(0), "\(destination.log)")
            return try expectSuccess(from: source, to: destination)
        }

        /// There and back, to one of two addresses in turn; as often as `APUS_FULL` asks for.
        @Test func `a Linux guest moves there and back, and its clocks go on`() throws {
            let moves = HostFacts.isFullRun ? 10 : 3
            let addresses = [bench.folder.address(), bench.folder.address()]
            var consoles = [bench.folder.file("console")]
            var holder = try bench.source(
                memory: "64M",
                vCPUs: 2,
                // Warnings too: a clock that is unstable is one.
                guest.flags(console: consoles[0], "loglevel=5 memory=4"),
                listen: addresses[0]
            )
            var lag = 0.0
            for move in 1...moves {
                // It works at each place before it leaves.
                try LinuxGuest.wait(for: "verified pages before move \(move)") {
                    (LinuxGuest.reports(consoles[move - 1]).last?.pages ?? 0) > 0
                        || !holder.isRunning
                }
                if move == 1 { lag = try wallClockLag(consoles[0], holder) }
                consoles.append(bench.folder.file("console"))
                let next = try bench.destination(
                    to: holder.address(),
                    ["--console", "file:\(consoles[move])", "--listen", addresses[move % 2]]
                )
                _ = try next.address(within: 120)
                #expect(try holder.waitForEnd() == .exited(0), "move \(move): \(holder.log)")
                #expect(try next.report().digest.match == true, "move \(move)")
                holder = next
            }
            // The host's clock within 50 ms. Both are seen by way of the console, which takes the
            // same time for each.
            let lagAtEnd = try wallClockLag(consoles[moves], holder)
            #expect(abs(lagAtEnd - lag) < 0.05, "\(lag) s before, \(lagAtEnd) s after")
            #expect(lag > -0.05 && lagAtEnd > -0.05, "\(lag) s before, \(lagAtEnd) s after")
            #expect(try holder.end(by: SIGTERM) == .exited(0), "\(holder.log)")
            expectWholeStory(consoles)
        }

        /// How far the guest's wall clock seems to be behind the host's, in seconds, the time that
        /// its words take included: the least of some reports.
        private func wallClockLag(_ console: String, _ process: ApusProcess) throws -> Double {
            var lag = Double.infinity
            for _ in 0..<4 {
                let count = LinuxGuest.reports(console).count
                try LinuxGuest.wait(for: "report of the time") {
                    LinuxGuest.reports(console).count > count || !process.isRunning
                }
                let now = Date().timeIntervalSince1970
                if let said = LinuxGuest.reports(console).last {
                    lag = min(lag, now - said.wallClock)
                }
            }
            return lag
        }

        @Test(.onEachPathInFullRuns)
        func `a Linux guest moves while it forks, writes files and maps them`() throws {
            let before = bench.folder.file("console")
            let after = bench.folder.file("console")
            let source = try bench.source(
                memory: "96M",
                vCPUs: 2,
                guest.flags(console: before, "memory=0 load=build")
            )
            try LinuxGuest.wait(for: "built files") {
                (LinuxGuest.reports(before).last?.pages ?? 0) > 0 || !source.isRunning
            }
            try move(source, to: after)
            expectWholeStory([before, after])
        }

        @Test(
            .onOnePath,
            .enabled(if: LinuxGuest.debian != nil, "needs deploy/guest/debian-kernel")
        )
        func `Debian's own kernel boots and moves`() throws {
            let debian = try #require(LinuxGuest.debian)
            let before = bench.folder.file("console")
            let after = bench.folder.file("console")
            let source = try bench.source(
                memory: "192M",
                vCPUs: 2,
                debian.flags(console: before, "memory=4")
            )
            try LinuxGuest.wait(for: "verified pages", within: 40) {
                (LinuxGuest.reports(before).last?.pages ?? 0) > 0 || !source.isRunning
            }
            try move(source, to: after)
            expectWholeStory([before, after])
        }

        @Test(.onOnePath)
        func `a kernel too large for memory is refused in one line`() throws {
            let process = try bench.start(
                .source,
                ["--memory", "16M", "--listen", bench.folder.address()]
                    + guest.flags(console: bench.folder.file("console"), "")
            )
            #expect(try process.waitForEnd(within: 10) == .exited(64), "\(process.log)")
            #expect(process.log.split(separator: "\n").count == 1, "\(process.log)")
        }

        @Test(.onOnePath)
        func `a Linux guest hears what is said on its console`() throws {
            let path = bench.folder.file("console")
            var flags = guest.flags(console: "", "memory=4")
            flags[flags.firstIndex(of: "file:") ?? 0] = "unix:\(path)"
            let source = try bench.source(memory: "64M", flags)
            let client = try ConsoleClient(path: path)
            try LinuxGuest.wait(for: "observer") { client.text.contains("pages verified") }
            client.say("hello there\n")
            try LinuxGuest.wait(for: "answer") {
                client.text.contains("observer: heard hello there\n")
            }
            #expect(try source.end(by: SIGTERM) == .exited(0), "\(source.log)")
        }

        /// All consoles together tell of every second once, of verified pages that only grow,
        /// and of nothing that went wrong.
        private func expectWholeStory(_ consoles: [String]) {
            let text = consoles.map { LinuxGuest.text($0) }.joined()
            for word in ["CORRUPTION", "panic", "soft lockup", "rcu", "unstable", "BUG", "WARN"] {
                #expect(!text.contains(word), "\(text)")
            }
            let reports = LinuxGuest.reports(in: text)
            #expect(reports.map(\.second) == Array(1...max(1, reports.count)), "\(text)")
            for (earlier, later) in zip(reports, reports.dropFirst()) {
                #expect(later.pages >= earlier.pages, "\(text)")
            }
            let first = LinuxGuest.reports(consoles[0]).last?.pages ?? 0
            #expect(first == 0 || (reports.last?.pages ?? 0) > first)
        }
    }
}
