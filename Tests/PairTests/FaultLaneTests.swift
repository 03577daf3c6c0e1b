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

/// Memory between the threads of a source and those of a destination.
private final class MovingMemory: Sendable {
    let outgoing: OutgoingMemory
    let incoming: IncomingMemory
    let urgentLanes: [any Lane]
    private let source: GuestRAM
    private let target: GuestRAM
    private let ends: [any Lane]
    private let threads = ThreadGroup()

    /// Threads that fetch.
    static let fetchers = 8

    var pageCount: Int { source.layout.pageCount }

    init(byteCount: Int, _ backing: Backing, laneCount: Int) throws {
        let layout = try GuestLayout.pc(byteCount: byteCount)
        source = try GuestRAM(layout: layout, backing: .anonymous)
        target = try GuestRAM(layout: layout, backing: backing)
        for number in 0..<layout.pageCount where number % 7 != 0 {
            let bytes = unsafe source.bytes(of: PageRange(first: PageIndex(number), count: 1))
            unsafe bytes.storeBytes(of: number, as: Int.self)
            unsafe bytes.storeBytes(of: ~number, toByteOffset: 4088, as: Int.self)
        }
        outgoing = try OutgoingMemory(ram: source)
        outgoing.serve(
            pagesPerRequest: backing.pagesPerHostPage,
            prefetchPages: 16,
            // So slow that requests have something to do.
            bytesPerSecond: 1 << 20
        )
        outgoing.openForRequests()
        let exits = try FaultExits.probe(.userfault, on: KVMSystem(), layout: layout).exits
        incoming = try IncomingMemory(
            of: target,
            exits: exits,
            userfault: Userfaultfd(for: Userfaultfd.Mode(for: backing)),
            streams: 1,
            vCPUs: Self.fetchers
        )
        let urgent = try (0..<laneCount).map { index in
            try SocketPair().take { first, second in
                (
                    SocketLane(.urgent(UInt8(index)), over: first),
                    SocketLane(.urgent(UInt8(index)), over: second)
                )
            }
        }
        let bulk = try SocketPair().take { first, second in
            (SocketLane(.bulk(0), over: first), SocketLane(.bulk(0), over: second))
        }
        urgentLanes = urgent.map { $0.1 }
        ends = urgent.flatMap { [$0.0 as any Lane, $0.1] } + [bulk.0, bulk.1]
        for (index, lane) in urgent.enumerated() {
            try threads.start("urgent-\(index)") { [outgoing] in
                serveUrgentLane(lane.0, index: index, of: outgoing)
            }
        }
        try threads.start("stream") { [outgoing] in
            streamMemory(outgoing, on: bulk.0, index: 0)
        }
        try threads.start("receive") { [incoming] in receiveStream(on: bulk.1, into: incoming) }
    }

    /// Waits until every page is present.
    func awaitAll() throws -> Bool {
        try waitUntilReadable([incoming.complete.rawDescriptor] as [CInt], timeout: .seconds(60))[0]
    }

    /// Whether a page, which is present, holds what the source has.
    func isRight(_ page: PageIndex) -> Bool {
        let range = PageRange(first: page, count: 1)
        return unsafe target.bytes(of: range).elementsEqual(source.bytes(of: range))
    }

    func end() {
        incoming.failure.close()
        outgoing.failure.close()
        incoming.pages.abandon()
        outgoing.stopStream()
        for lane in ends { lane.shutdown() }
        threads.joinAll()
        try? incoming.unregister()
    }
}
