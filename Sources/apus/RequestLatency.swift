// SPDX-License-Identifier: Apache-2.0

internal import CAllocationCounter
internal import Glibc
internal import GuestMemory
internal import LinuxSystem
internal import MigrationDestination
internal import MigrationSource
internal import MigrationWire
internal import Synchronization
internal import Telemetry
internal import Transport

/// How long a vCPU waits for an absent page, with and without a background stream beside it.
///
/// All threads are those of a source and a destination; the vCPU is a thread that fetches pages here
/// and there, now and then, as after memory-fault exits.
final class RequestLatency {
    private let source: GuestRAM

    /// Most requests of one measurement.
    private static let mostRequests = 1000
    /// The longest pause between two requests, in microseconds; from none up to it, all alike.
    private static let longestPause: UInt32 = 2000
    /// Requests before the steady state.
    private static let warmUp = 20

    /// One measurement.
    struct Result {
        /// The 99th percentile of the time from an exit to the install of its page.
        var p99Nanoseconds: Double
        /// Heap allocations of all threads in the steady state.
        var allocations: Int
        /// Pages that arrived meanwhile.
        var pages: Int
    }

    /// Memory of a source, full of pages that LZ4 halves.
    init(pageCount: Int) throws {
        let layout = try GuestLayout.pc(byteCount: pageCount << GuestPage.shift)
        source = try GuestRAM(layout: layout, backing: .anonymous)
        for number in 0..<pageCount {
            let page = unsafe source.bytes(of: PageRange(first: PageIndex(number), count: 1))
            unsafe PagePattern.mixed.fill(page, of: PageIndex(number))
        }
    }

    /// Fetches pages until there were enough, or the stream has brought all.
    ///
    /// - Parameters:
    ///   - medium: What carries the lanes.
    ///   - isStreaming: Whether the background stream runs.
    /// - Returns: What was measured.
    /// - Throws: What this host lacks, or what failed.
    func measure(over medium: Medium, isStreaming: Bool) throws -> Result {
        let outgoing = try OutgoingMemory(ram: source)
        outgoing.serve(pagesPerRequest: 1, prefetchPages: 16, bytesPerSecond: 0)
        outgoing.openForRequests()
        let target = try AbsentMemory(pageCount: source.layout.pageCount, .anonymous)
        let incoming = target.incoming
        let urgent = try LaneEnds(.urgent(0), over: medium)
        let bulk = try LaneEnds(.bulk(0), over: medium)
        let threads = ThreadGroup()
        defer {
            incoming.failure.close()
            outgoing.failure.close()
            outgoing.stopStream()
            urgent.shutdown()
            bulk.shutdown()
            threads.joinAll()
        }
        for lane in [urgent.source, urgent.destination, bulk.source, bulk.destination] {
            try lane.limitBlocking(to: nil)
        }
        try threads.start("src-urgent-0") { serveUrgentLane(urgent.source, index: 0, of: outgoing) }
        try threads.start("src-stream-0") { streamMemory(outgoing, on: bulk.source, index: 0) }
        try threads.start("dst-bulk-0") { receiveStream(on: bulk.destination, into: incoming) }
        let vCPU = VCPU(incoming, on: urgent.destination)
        if isStreaming { outgoing.openStream() }
        try threads.start("vcpu-0") { vCPU.run() }
        let result = vCPU.awaitResult()
        if let error = incoming.failure.error ?? outgoing.failure.error {
            throw BenchFailure.failed("\(error)")
        }
        guard let result else { throw BenchFailure.failed("a page has not come") }
        guard result.p99Nanoseconds > 0 else {
            throw BenchFailure.failed("the stream was over too soon: raise --latency-bytes")
        }
        return result
    }

    /// The thread that fetches.
    private final class VCPU: Sendable {
        private let incoming: IncomingMemory
        private let server: VCPUFaultServer
        private let result = Mutex<Result?>(nil)
        private let end = FutexWord(0)

        init(_ incoming: IncomingMemory, on lane: any Lane) {
            self.incoming = incoming
            server = VCPUFaultServer.make(for: 1, incoming, on: [lane]) { LatencyRing() }[0]
        }

        func awaitResult() -> Result? {
            while end.value == 0 { end.wait(while: 0, timeout: .seconds(1)) }
            return result.withLock { $0 }
        }

        func run() {
            var histogram = LatencyHistogram()
            var random = SystemRandomNumberGenerator()
            let pageCount = incoming.pages.pageCount
            var (allocations, pages) = (callocation_total(), incoming.pages.remainingCount)
            var requests = 0
            while requests < RequestLatency.mostRequests, incoming.pages.remainingCount > 64 {
                usleep(UInt32.random(in: 0...RequestLatency.longestPause, using: &random))
                let page = PageIndex(Int.random(in: 0..<pageCount, using: &random))
                guard incoming.pages.state(of: page) == .absent else { continue }
                let start = MonotonicTime.now
                guard server.serve(UInt64(page.rawValue) << UInt64(GuestPage.shift)) else {
                    end.store(1)
                    return
                }
                requests += 1
                if requests == RequestLatency.warmUp {
                    (allocations, pages) = (callocation_total(), incoming.pages.remainingCount)
                } else if requests > RequestLatency.warmUp {
                    histogram.record(nanoseconds: MonotonicTime.now.nanoseconds(since: start))
                }
            }
            let found = Result(
                p99Nanoseconds: Double(histogram.nanoseconds(atPercentile: 99)),
                allocations: Int(callocation_total() - allocations),
                pages: pages - incoming.pages.remainingCount
            )
            result.withLock { $0 = found }
            end.store(1)
        }
    }
}
