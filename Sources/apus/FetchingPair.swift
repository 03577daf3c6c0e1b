// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import MigrationDestination
internal import MigrationSource
internal import MigrationWire
internal import Synchronization
internal import Telemetry
internal import Transport

/// Memory on its way from a source to a destination, with all the threads of both, but without a
/// guest: a thread of its own fetches pages as a vCPU does after memory-fault exits.
struct FetchingPair {
    let outgoing: OutgoingMemory
    let incoming: IncomingMemory
    private let target: AbsentMemory
    private let urgent: LaneEnds
    private let bulk: LaneEnds
    private let threads = ThreadGroup()

    /// Starts all threads but the one that fetches; the stream waits.
    ///
    /// - Parameters:
    ///   - source: What the source has.
    ///   - medium: What carries the lanes.
    ///   - prefetchPages: Most pages that are sent unasked around a request.
    /// - Throws: What this host lacks.
    init(_ source: GuestRAM, over medium: Medium, prefetchPages: Int) throws {
        let outgoing = try OutgoingMemory(ram: source)
        outgoing.serve(pagesPerRequest: 1, prefetchPages: prefetchPages, bytesPerSecond: 0)
        outgoing.openForRequests()
        target = try AbsentMemory(pageCount: source.layout.pageCount, .anonymous)
        let incoming = target.incoming
        let urgent = try LaneEnds(.urgent(0), over: medium)
        let bulk = try LaneEnds(.bulk(0), over: medium)
        self.outgoing = outgoing
        self.incoming = incoming
        self.urgent = urgent
        self.bulk = bulk
        for lane in [urgent.source, urgent.destination, bulk.source, bulk.destination] {
            try lane.limitBlocking(to: nil)
        }
        try threads.start("src-urgent-0") { serveUrgentLane(urgent.source, index: 0, of: outgoing) }
        try threads.start("src-stream-0") { streamMemory(outgoing, on: bulk.source, index: 0) }
        try threads.start("dst-bulk-0") { receiveStream(on: bulk.destination, into: incoming) }
    }

    /// Ends all threads.
    func end() {
        incoming.failure.close()
        outgoing.failure.close()
        outgoing.stopStream()
        urgent.shutdown()
        bulk.shutdown()
        threads.joinAll()
    }

    /// Has a thread fetch, and adds its faults up meanwhile, as a destination does.
    ///
    /// - Parameters:
    ///   - ring: Takes the spans of its faults, if anybody wants to know them.
    ///   - work: The thread's work: makes pages present, and returns nil when one never came.
    /// - Returns: What the work has returned.
    /// - Throws: What failed on any thread.
    func fetch<Result: Sendable>(
        recordingInto ring: FaultSpanRing?,
        _ work: @escaping @Sendable (VCPUFaultServer) -> Result?
    ) throws -> Result {
        let server = VCPUFaultServer.make(for: 1, incoming, on: [urgent.destination]) { _ in ring }[
            0
        ]
        let outcome = Outcome<Result>()
        try threads.start("vcpu-0") { outcome.finish(work(server)) }
        var account = FaultAccount(clocks: .same)
        while !outcome.isThere(within: .milliseconds(100)) {
            if let ring { account.take(from: ring, vCPU: 0) }
        }
        if let error = incoming.failure.error ?? outgoing.failure.error {
            throw BenchFailure.failed("\(error)")
        }
        guard let result = outcome.value else { throw BenchFailure.failed("a page has not come") }
        return result
    }

    /// What a thread hands over at its end.
    private final class Outcome<Value: Sendable>: Sendable {
        private let stored = Mutex<Value?>(nil)
        private let end = FutexWord(0)

        var value: Value? { stored.withLock { $0 } }

        func finish(_ value: Value?) {
            stored.withLock { $0 = value }
            end.store(1)
        }

        func isThere(within limit: Duration) -> Bool {
            if end.value == 0 { end.wait(while: 0, timeout: limit) }
            return end.value != 0
        }
    }
}
