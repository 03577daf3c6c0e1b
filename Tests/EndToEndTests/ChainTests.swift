// SPDX-License-Identifier: Apache-2.0

import ProcessSupport
import Telemetry
import Testing

extension EndToEndTests {
    /// One guest that moves again and again.
    @Suite struct Chains {
        @Test(.onEachPathInFullRuns)
        func `a guest moves twenty times in a row and forgets nothing`() throws {
            let bench = try Bench()
            var holder = try bench.source(
                memory: scaledMemory(megabytes: 24),
                vCPUs: 2,
                ["--guest-zero", "10"]
            )
            var iterations: UInt64 = 0
            for move in 1...20 {
                let isLast = move == 20
                let ending =
                    isLast
                    ? ["--run-after", "200ms"] : ["--listen", bench.folder.address()]
                let next = try bench.destination(
                    to: holder.address(),
                    ["--backing", move % 2 == 0 ? "memfd" : "anonymous"] + ending
                )
                if isLast {
                    #expect(try next.waitForEnd() == .exited(0), "\(next.log)")
                } else {
                    _ = try next.address()
                }
                // As source and as destination a process writes to one and the same file: the
                // report of the arrival is there until the departure.
                let report = try next.report()
                #expect(try holder.waitForEnd() == .exited(0), "move \(move): \(holder.log)")
                #expect(report.outcome == .completed, "move \(move)")
                #expect(report.digest.match == true, "move \(move)")
                let walker = try #require(report.walker)
                #expect(walker.iterations > iterations, "move \(move): the guest stood still")
                iterations = walker.iterations
                holder = next
            }
            let end = try #require(pagesVerifiedAtEnd(holder))
            #expect(end > iterations)
        }

        @Test func `a guest goes there and comes back`() throws {
            let bench = try Bench()
            let home = bench.folder.address()
            let first = try bench.source(
                memory: scaledMemory(megabytes: 32),
                vCPUs: 2,
                listen: home
            )
            let there = try bench.destination(
                to: home,
                ["--backing", "memfd", "--listen", bench.folder.address()]
            )
            let away = try there.address()
            #expect(try first.waitForEnd() == .exited(0))
            // The same address again: the first process has left it clean.
            let back = try bench.destination(
                to: away,
                ["--listen", home, "--run-after", "200ms"]
            )
            #expect(try back.waitForEnd() == .exited(0), "\(back.log)")
            try expectSuccess(from: there, to: back)
        }
    }
}
