// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import KVM
import LinuxSystem
import MigrationDestination
import MigrationSource
import MigrationWire
import Synchronization
import Telemetry
import TestSupport
import Testing
import Transport
import Userfault

/// Threads that fetch pages as vCPUs do after memory-fault exits, without a guest, so on any host.
@Suite(.serialized, .timeLimit(.minutes(5)), .enabled(if: HostFacts.runsMigrationTests))
struct FaultLaneTests {
    @Test(arguments: HostFacts.backings, [1, 3, 8])
    func `many threads fetch over few lanes while the stream goes on`(
        backing: Backing,
        laneCount: Int
    ) throws {
        let fetchers = MovingMemory.fetchers
        let memory = try MovingMemory(byteCount: 16 << 20, backing, laneCount: laneCount)
        defer { memory.end() }
        let servers = VCPUFaultServer.make(
            for: fetchers,
            memory.incoming,
            on: memory.urgentLanes,
            makeRing: { _ in FaultSpanRing() }
        )
        let wrong = Atomic<Int>(0)
        let fetching = ThreadGroup()
        for (number, server) in servers.enumerated() {
            try fetching.start("fetch-\(number)") {
                var random = SeededGenerator(seed: UInt64(number))
                for _ in 0..<400 {
                    let page = PageIndex(Int.random(in: 0..<memory.pageCount, using: &random))
                    guard server.serve(UInt64(page.rawValue) << 12), memory.isRight(page) else {
                        wrong.wrappingAdd(1, ordering: .relaxed)
                        return
                    }
                    server.reenters()
                }
            }
        }
        memory.outgoing.openStream()
        fetching.joinAll()
        #expect(wrong.load(ordering: .relaxed) == 0)
        #expect(try memory.awaitAll())
        #expect(memory.incoming.failure.error == nil)
        let totals = memory.incoming.totals
        #expect(totals.requestsSent > 0)
        #expect(totals.requested + totals.prefetched + totals.streamed == memory.pageCount)
        #expect((0..<memory.pageCount).allSatisfy { memory.isRight(PageIndex($0)) })
    }
}
