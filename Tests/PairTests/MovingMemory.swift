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

/// Memory between the threads of a source and those of a destination.
final class MovingMemory: Sendable {
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

    /// - Parameters:
    ///   - byteCount: Guest memory.
    ///   - backing: The destination's.
    ///   - laneCount: Urgent lanes.
    ///   - wrap: What is put around an end of an urgent lane.
    /// - Throws: What this host lacks.
    init(
        byteCount: Int,
        _ backing: Backing,
        laneCount: Int,
        wrap: (any Lane, LaneFault.Side) -> any Lane = { lane, _ in lane }
    ) throws {
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
                    wrap(SocketLane(.urgent(UInt8(index)), over: first), .source),
                    wrap(SocketLane(.urgent(UInt8(index)), over: second), .destination)
                )
            }
        }
        let bulk = try SocketPair().take { first, second in
            (SocketLane(.bulk(0), over: first), SocketLane(.bulk(0), over: second))
        }
        urgentLanes = urgent.map { $0.1 }
        ends = urgent.flatMap { [$0.0, $0.1] } + [bulk.0, bulk.1]
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
