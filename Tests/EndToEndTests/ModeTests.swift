// SPDX-License-Identifier: Apache-2.0

import Glibc
import KVM
import ProcessSupport
import Telemetry
import TestSupport
import Testing

extension EndToEndTests {
    /// Precopy and hybrid, which share their way with postcopy.
    @Suite struct Modes {
        @Test(arguments: zip(["anonymous", "memfd"], ["hybrid", "precopy"]))
        func `an idle guest's memory is sent once, and before it runs`(
            backing: String,
            mode: String
        ) throws {
            let bench = try Bench()
            let source = try bench.source(
                memory: scaledMemory(megabytes: 64),
                vCPUs: 2,
                ["--guest-working-set", "0", "--guest-zero", "25"]
            )
            let destination = try bench.destination(
                to: source.address(),
                ["--backing", backing, "--mode", mode, "--streams", "2", "--run-after", "200ms"]
            )
            #expect(try destination.waitForEnd() == .exited(0), "\(destination.log)")
            let report = try expectSuccess(from: source, to: destination)
            let precopy = try #require(report.precopy)
            let sent = precopy.rounds.map(\.pages).reduce(0, +)
            #expect(Double(sent) <= 1.05 * Double(report.pages.total), "\(precopy)")
            let contents = sent - precopy.rounds.map(\.zeroPages).reduce(0, +)
            #expect(Double(contents) <= 1.05 * 0.8 * Double(report.pages.total), "\(precopy)")
            #expect(Double(precopy.pages) > 0.95 * Double(report.pages.total), "\(precopy)")
            if mode == "precopy" {
                #expect(precopy.pages == report.pages.total)
                #expect(precopy.discardedPages == 0)
                #expect(report.faults?.requests == 0)
            }
            let story = "setup → precopy, precopy → switchover, switchover → postcopy"
            for change in story.split(separator: ", ") {
                for process in [source, destination] {
                    #expect(process.log.contains("phase: \(change)"), "\(process.log)")
                }
            }
            let first = "precopy round 1: \(report.pages.total) pages"
            #expect(source.log.contains(first), "\(source.log)")
        }

        @Test(arguments: ["anonymous", "memfd"])
        func `a guest that writes faster than the lanes carry ends in postcopy, whole`(
            backing: String
        ) throws {
            let bench = try Bench()
            let source = try bench.source(memory: "16M", vCPUs: 2, ["--guest-order", "random"])
            let destination = try bench.destination(
                to: source.address(),
                [
                    "--backing", backing, "--mode", "hybrid", "--precopy-rounds", "2",
                    "--downtime-limit", "1ms", "--max-precopy-bandwidth", "4M",
                    "--run-after", "200ms",
                ]
            )
            #expect(try destination.waitForEnd() == .exited(0), "\(destination.log)")
            let report = try expectSuccess(from: source, to: destination)
            let precopy = try #require(report.precopy)
            #expect(precopy.rounds.count == 2)
            #expect(precopy.rounds.allSatisfy { !$0.isPaused })
            #expect(precopy.discardedPages > 200, "\(precopy)")
            #expect(precopy.pages + precopy.discardedPages == report.pages.total)
            #expect(source.log.contains("but rounds are spent"), "\(source.log)")
            // 4 MiB a second, over all rounds together.
            let bytes = precopy.rounds.map(\.wireBytes).reduce(0, +)
            let time = precopy.rounds.map(\.durationMicroseconds).reduce(0, +)
            #expect(Double(time) > 0.85 * Double(bytes) / 4.194, "\(precopy)")
            let walker = try #require(report.walker)
            #expect(try #require(pagesVerifiedAtEnd(destination)) > walker.iterations)
        }

        @Test(arguments: ["anonymous", "memfd"])
        func `the rest is sent in the pause, where nothing may be missing afterwards`(
            backing: String
        ) throws {
            let bench = try Bench()
            let source = try bench.source(
                memory: "32M",
                vCPUs: 2,
                ["--guest-working-set", "8M", "--backing", backing]
            )
            let destination = try bench.destination(
                to: source.address(),
                [
                    "--backing", backing, "--mode", "precopy", "--precopy-rounds", "3",
                    "--run-after", "200ms",
                ]
            )
            #expect(try destination.waitForEnd() == .exited(0), "\(destination.log)")
            let report = try expectSuccess(from: source, to: destination)
            let precopy = try #require(report.precopy)
            #expect(precopy.pages == report.pages.total)
            #expect(precopy.discardedPages == 0)
            #expect(precopy.rounds.last?.isPaused == true)
            #expect(precopy.rounds.count { $0.isPaused } == 1)
            #expect(report.faults?.requests == 0)
            let walker = try #require(report.walker)
            #expect(try #require(pagesVerifiedAtEnd(destination)) > walker.iterations)
        }

        @Test(
            .enabled(if: HostFacts.runsHugePageTests, "needs 64 huge pages: vm.nr_hugepages"),
            arguments: ["hybrid", "precopy"]
        )
        func `huge pages are sent again, and discarded, whole`(mode: String) throws {
            let bench = try Bench()
            let source = try bench.source(memory: "32M", ["--guest-working-set", "8M"])
            let destination = try bench.destination(
                to: source.address(),
                [
                    "--backing", "hugetlb", "--mode", mode, "--precopy-rounds", "2",
                    "--downtime-limit", "0s", "--run-after", "200ms",
                ]
            )
            #expect(try destination.waitForEnd() == .exited(0), "\(destination.log)")
            let precopy = try #require(
                try expectSuccess(from: source, to: destination).precopy
            )
            #expect(precopy.rounds.count >= 2)
            #expect(precopy.rounds.allSatisfy { $0.pages % 512 == 0 })
            #expect(precopy.discardedPages % 512 == 0)
            // A guest that has written nothing since the last round leaves nothing to discard.
            #expect(precopy.discardedPages == 0 || mode == "hybrid")
        }

        @Test(.enabled(if: HostFacts.testbedKernel == nil, "no fault path has a part in it"))
        func `a guest that came by rounds moves on by rounds, and back by postcopy`() throws {
            let bench = try Bench()
            let first = try bench.source(memory: "32M", vCPUs: 2, ["--guest-working-set", "8M"])
            let second = try bench.destination(
                to: first.address(),
                ["--mode", "hybrid", "--precopy-rounds", "2", "--listen", bench.folder.address()]
            )
            let third = try bench.destination(
                to: second.address(),
                [
                    "--mode", "precopy", "--precopy-rounds", "2", "--backing", "memfd",
                    "--listen", bench.folder.address(),
                ]
            )
            let last = try bench.destination(to: third.address(), ["--run-after", "200ms"])
            #expect(try last.waitForEnd() == .exited(0), "\(last.log)")
            for process in [first, second, third] {
                #expect(try process.waitForEnd() == .exited(0), "\(process.log)")
            }
            #expect(try last.report().digest.match == true)
        }

        @Test(
            .onEachPathInFullRuns,
            .enabled(if: LinuxGuest.here != nil, "needs the testbed and deploy/guest/build")
        )
        func `a Linux guest goes there by hybrid, back by postcopy, and on by precopy`() throws {
            let guest = try #require(LinuxGuest.here)
            let bench = try Bench()
            let home = bench.folder.address()
            var console = bench.folder.file("console")
            var text = ""
            var holder = try bench.source(
                memory: "64M",
                vCPUs: 2,
                guest.flags(console: console, "memory=4"),
                listen: home
            )
            for (mode, place) in [
                ("hybrid", bench.folder.address()), ("postcopy", home),
                ("precopy", bench.folder.address()),
            ] {
                // It works at each place before it leaves.
                try LinuxGuest.wait(for: "verified pages before \(mode)") {
                    (LinuxGuest.reports(console).last?.pages ?? 0) > 0 || !holder.isRunning
                }
                let there = bench.folder.file("console")
                let next = try bench.destination(
                    to: holder.address(),
                    ["--console", "file:\(there)", "--mode", mode, "--listen", place]
                )
                _ = try next.address(within: 120)
                #expect(try holder.waitForEnd() == .exited(0), "\(mode): \(holder.log)")
                let report = try next.report()
                #expect(report.outcome == .completed, "\(mode): \(next.log)")
                #expect(report.digest.match == true, "\(mode)")
                let precopy = try #require(report.precopy)
                if mode == "postcopy" {
                    // Of the guest's kernel.
                    #expect(precopy.rounds.count == 1, "\(precopy)")
                    #expect(precopy.pages < report.pages.total / 2, "\(precopy)")
                } else {
                    let sent = precopy.rounds.first?.pages
                    #expect(sent == report.pages.total, "\(precopy)")
                    #expect(precopy.pages > report.pages.total / 2, "\(precopy)")
                }
                text += LinuxGuest.text(console)
                (holder, console) = (next, there)
            }
            try LinuxGuest.wait(for: "reports at the last place") {
                LinuxGuest.reports(console).count > 2 || !holder.isRunning
            }
            #expect(try holder.end(by: SIGTERM) == .exited(0), "\(holder.log)")
            text += LinuxGuest.text(console)
            for word in ["CORRUPTION", "panic", "soft lockup", "rcu", "unstable", "BUG", "WARN"] {
                #expect(!text.contains(word), "\(text)")
            }
            let seconds = LinuxGuest.reports(in: text).map(\.second)
            #expect(seconds == Array(1...max(1, seconds.count)), "\(text)")
        }

        @Test(.enabled(if: HostFacts.testbedKernel == nil, "no fault path has a part in it"))
        func `a destination killed in a round leaves the guest at the source, as it was`() throws {
            let bench = try Bench()
            let source = try bench.source(memory: "32M", vCPUs: 2)
            for delay in [0.1, 0.4, 0.8] {
                let destination = try bench.destination(
                    to: source.address(),
                    ["--mode", "precopy", "--max-precopy-bandwidth", "1M"]
                )
                try destination.waitForLog("phase: setup → precopy")
                pause(seconds: delay)
                #expect(try destination.end(by: SIGKILL) == .killed(signal: SIGKILL))
                #expect(waitUntil(within: 10) { source.log.hasSuffix("the guest goes on here\n") })
            }
            try source.letGuestRun(milliseconds: 100)
            #expect(!source.log.contains("→ switchover"), "\(source.log)")
            let heir = try bench.destination(to: source.address(), ["--run-after", "200ms"])
            #expect(try heir.waitForEnd() == .exited(0), "\(source.log)\n\(heir.log)")
            try expectSuccess(from: source, to: heir)
        }

        @Test(.enabled(if: HostFacts.testbedKernel == nil, "no fault path has a part in it"))
        func `a signal ends a destination in a round, and the guest stays where it is`() throws {
            let bench = try Bench()
            let source = try bench.source(memory: "32M")
            let destination = try bench.destination(
                to: source.address(),
                ["--mode", "hybrid", "--max-precopy-bandwidth", "1M"]
            )
            try destination.waitForLog("phase: setup → precopy")
            pause(seconds: 0.2)
            #expect(try destination.end(by: SIGTERM) == .exited(10), "\(destination.log)")
            #expect(waitUntil(within: 10) { source.log.hasSuffix("the guest goes on here\n") })
            try source.letGuestRun(milliseconds: 100)
            #expect(try source.end(by: SIGTERM) == .exited(0), "\(source.log)")
        }
    }
}
