// SPDX-License-Identifier: Apache-2.0

internal import CAllocationCounter
internal import Glibc
internal import GuestMemory
internal import LinuxSystem
internal import MigrationDestination
internal import MigrationSource
internal import Telemetry

/// How long a vCPU waits for an absent page, with and without a background stream beside it.
///
/// The vCPU is a thread that fetches pages here and there, now and then, as after memory-fault exits.
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
        source = try PagePattern.mixed.memory(pageCount: pageCount)
    }

    /// Fetches pages until there were enough, or the stream has brought all.
    ///
    /// - Parameters:
    ///   - medium: What carries the lanes.
    ///   - isStreaming: Whether the background stream runs.
    /// - Returns: What was measured.
    /// - Throws: What this host lacks, or what failed.
    func measure(over medium: Medium, isStreaming: Bool) throws -> Result {
        let pair = try FetchingPair(source, over: medium, prefetchPages: 16)
        defer { pair.end() }
        if isStreaming { pair.outgoing.openStream() }
        let ring = FaultSpanRing()
        let result = try pair.fetch(recordingInto: [ring]) { servers in
            Self.fetchNowAndThen(pair.incoming, servers[0], recordingInto: ring)
        }
        guard result.p99Nanoseconds > 0 else {
            throw BenchFailure.failed("the stream was over too soon: raise --latency-bytes")
        }
        return result
    }

    /// The work of the thread that fetches; nil when a page never came.
    private static func fetchNowAndThen(
        _ incoming: IncomingMemory,
        _ server: VCPUFaultServer,
        recordingInto ring: FaultSpanRing
    ) -> Result? {
        var histogram = LatencyHistogram()
        var account = FaultAccount(clocks: .same)
        var random = SystemRandomNumberGenerator()
        let pageCount = incoming.pages.pageCount
        var (allocations, pages) = (callocation_total(), incoming.pages.remainingCount)
        var requests = 0
        while requests < mostRequests, incoming.pages.remainingCount > 64 {
            // A destination does this on another thread, now and then.
            if requests % warmUp == 0 { account.take(from: ring, vCPU: 0) }
            usleep(UInt32.random(in: 0...longestPause, using: &random))
            let page = PageIndex(Int.random(in: 0..<pageCount, using: &random))
            guard incoming.pages.state(of: page) == .absent else { continue }
            let start = MonotonicTime.now
            guard server.serve(UInt64(page.rawValue) << UInt64(GuestPage.shift)) else { return nil }
            server.reenters()
            requests += 1
            if requests == warmUp {
                (allocations, pages) = (callocation_total(), incoming.pages.remainingCount)
            } else if requests > warmUp {
                histogram.record(nanoseconds: MonotonicTime.now.nanoseconds(since: start))
            }
        }
        return Result(
            p99Nanoseconds: Double(histogram.nanoseconds(atPercentile: 99)),
            allocations: Int(callocation_total() - allocations),
            pages: pages - incoming.pages.remainingCount
        )
    }
}
