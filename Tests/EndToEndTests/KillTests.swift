// SPDX-License-Identifier: Apache-2.0

import Foundation
import ProcessSupport
import Telemetry
import Testing

extension EndToEndTests {
    /// `kill -9` of either side.
    @Suite(.onEachPathInFullRuns) struct Kills {
        /// The real destination, killed at random; what the source says decides which half of
        /// the rule holds.
        @Test func `a destination killed before the commit point leaves the guest at the source`()
            throws
        {
            let seed = UInt64.random(in: .min ... .max)
            print("seed of the delays: \(seed)")
            var random = SeededDelays(seed: seed)
            let bench = try Bench()
            var source = try bench.source(memory: "16M", vCPUs: 2)
            var kept = 0
            var lost = 0
            for _ in 0..<12 {
                let destination = try bench.destination(to: source.address())
                pause(seconds: random.next(below: 0.12))
                #expect(try destination.end(by: SIGKILL) == .killed(signal: SIGKILL))
                if try survives(source) {
                    kept += 1
                } else {
                    lost += 1
                    source = try bench.source(memory: "16M", vCPUs: 2)
                }
            }
            print("killed before the commit point: \(kept), after it: \(lost)")
            #expect(kept > 0)
            let heir = try bench.destination(to: source.address(), ["--run-after", "200ms"])
            #expect(try heir.waitForEnd() == .exited(0), "\(source.log)\n\(heir.log)")
            let report = try expectSuccess(from: source, to: heir)
            let before = try #require(report.walker).iterations
            #expect(try #require(pagesVerifiedAtEnd(heir)) > before)
        }

        @Test func `a source killed after the commit point costs the guest, and that is said`()
            throws
        {
            let bench = try Bench()
            let source = try bench.source(memory: scaledMemory(megabytes: 512), vCPUs: 2)
            let destination = try bench.destination(to: source.address())
            try destination.waitForLog("phase: switchover → postcopy")
            #expect(try source.end(by: SIGKILL) == .killed(signal: SIGKILL))
            #expect(try destination.waitForEnd(within: 5) == .exited(11), "\(destination.log)")
            #expect(destination.log.contains("the guest is lost"))
            #expect(try destination.report().outcome == .guestLost)
        }

        @Test func `a source killed before the commit point ends the destination`() throws {
            let bench = try Bench()
            let source = try bench.source(memory: "16M")
            let address = try source.address()
            // Stopped, it accepts connections (the kernel does) and answers nothing.
            source.send(SIGSTOP)
            let destination = try bench.destination(to: address)
            #expect(waitUntil(within: 10) { ApusProcess.isConnected(to: address) })
            pause(seconds: 0.1)
            #expect(destination.isRunning)
            #expect(try source.end(by: SIGKILL) == .killed(signal: SIGKILL))
            #expect(try destination.waitForEnd(within: 5) == .exited(10), "\(destination.log)")
        }

        @Test func `a destination killed after the commit point costs the guest at the source`()
            throws
        {
            let bench = try Bench()
            let source = try bench.source(memory: scaledMemory(megabytes: 512), vCPUs: 2)
            let destination = try bench.destination(to: source.address())
            try destination.waitForLog("phase: switchover → postcopy")
            #expect(try destination.end(by: SIGKILL) == .killed(signal: SIGKILL))
            #expect(try source.waitForEnd(within: 5) == .exited(11), "\(source.log)")
            #expect(source.log.contains("the guest is lost"))
        }

        /// Whether a source kept its guest after its destination was killed.
        private func survives(_ source: ApusProcess) throws -> Bool {
            // An attempt that came far enough is noted; one killed before its first word is not.
            let committed = waitUntil(within: 0.5) {
                source.log.hasSuffix("the guest goes on here\n")
                    || source.log.contains("→ postcopy") || !source.isRunning
            }
            guard committed, source.log.contains("→ postcopy") || !source.isRunning else {
                return true
            }
            let end = try source.waitForEnd(within: 15)
            // Killed after the commit point, or so late that the migration was over.
            #expect(end == .exited(11) || end == .exited(0), "\(source.log)")
            return false
        }
    }
}

/// Delays that can be had again from a printed seed.
private struct SeededDelays {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// SplitMix64.
    mutating func next(below limit: Double) -> Double {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        mixed ^= mixed >> 31
        return Double(mixed >> 11) / Double(1 << 53) * limit
    }
}
