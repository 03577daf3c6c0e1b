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
    private let vCPUs: Int

    /// Starts all threads but the one that fetches; the stream waits.
    ///
    /// - Parameters:
    ///   - source: What the source has.
    ///   - medium: What carries the lanes.
    ///   - prefetchPages: Most pages that are sent unasked around a request.
    ///   - vCPUs: As many as there are servers, on one urgent lane.
    /// - Throws: What this host lacks.
    init(_ source: GuestRAM, over medium: Medium, prefetchPages: Int, vCPUs: Int = 1) throws {
        let outgoing = try OutgoingMemory(ram: source)
        outgoing.serve(pagesPerRequest: 1, prefetchPages: prefetchPages, bytesPerSecond: 0)
        outgoing.openForRequests()
        target = try AbsentMemory(pageCount: source.layout.pageCount, .anonymous, vCPUs: vCPUs)
        let incoming = target.incoming
        let urgent = try LaneEnds(.urgent(0), over: medium)
        let bulk = try LaneEnds(.bulk(0), over: medium)
        self.outgoing = outgoing
        self.incoming = incoming
        self.urgent = urgent
        self.bulk = bulk
        self.vCPUs = vCPUs
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

    /// Has a thread fetch.
    ///
    /// - Parameters:
    ///   - rings: Take the spans of each server's faults, nil where nobody wants to know them; the
    ///     work empties them.
    ///   - work: The thread's work: makes pages present by the servers, and returns nil when one
    ///     never came.
    /// - Returns: What the work has returned.
    /// - Throws: What failed on any thread.
    func fetch<Result: Sendable>(
        recordingInto rings: [FaultSpanRing?],
        _ work: @escaping @Sendable ([VCPUFaultServer]) -> Result?
    ) throws -> Result {
        let servers = VCPUFaultServer.make(for: vCPUs, incoming, on: [urgent.destination]) {
            rings[$0]
        }
        let outcome = Outcome<Result>()
        try threads.start("vcpu-0") { outcome.finish(work(servers)) }
        while !outcome.isThere(within: .milliseconds(100)) {
            // What failed elsewhere must not leave it waiting.
            if (incoming.failure.error ?? outgoing.failure.error) != nil {
                incoming.pages.abandon()
                urgent.shutdown()
            }
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
