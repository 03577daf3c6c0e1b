// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import MigrationDestination
internal import Telemetry

/// What it costs to stamp the stages of faults and add them up: how fast a thread fetches one page
/// after the other, with and without.
struct RecordingCost {
    /// A number with stages recorded, and without.
    typealias Pair = (recorded: Double, unrecorded: Double)

    private let source: GuestRAM

    /// Most pages fetched in one measurement.
    static let mostPages = turns * 1024

    /// Of these the first are before the steady state, when buffers and histograms are used for the
    /// first time; in the others either has as many.
    private static let turns = 72
    private static let warmUpTurns = 8
    /// Turns with stamps after which they are added up: at the longest as much is stamped in them
    /// as in the time that a destination waits before it does.
    private static let turnsPerAccount = 8
    /// Pairs of threads of one measurement: in a single one chance is more than what is looked for.
    private static let pairs = 4

    /// - Parameter pageCount: Pages fetched in one measurement.
    /// - Throws: What this host lacks, or that these are too few.
    init(pageCount: Int) throws {
        guard pageCount >= Self.turns else {
            throw BenchFailure.failed(
                "recording takes \(Self.turns) pages at least: raise --latency-bytes"
            )
        }
        source = try PagePattern.mixed.memory(pageCount: pageCount)
    }

    /// How fast pages come, each of them requested, in turns with and without: by the same threads,
    /// over one lane, in the same moments.
    ///
    /// A destination adds up on another thread. Here the fetching thread does, so that all of it
    /// counts wherever the scheduler has its threads.
    ///
    /// - Parameters:
    ///   - medium: What carries the lanes.
    ///   - recordsFirst: Which begins.
    /// - Returns: Pages per second.
    /// - Throws: What this host lacks, or what failed.
    func rates(
        over medium: Medium,
        recordsFirst: Bool
    ) throws -> Pair {
        var nanoseconds: Pair = (0, 0)
        for number in 0..<Self.pairs {
            let isFirst = number.isMultiple(of: 2) == recordsFirst
            let times = try pageTimes(over: medium, recordsFirst: isFirst)
            nanoseconds.recorded += times.recorded
            nanoseconds.unrecorded += times.unrecorded
        }
        let most = Double(Self.pairs) * 1e9
        return (most / nanoseconds.recorded, most / nanoseconds.unrecorded)
    }

    /// Nanoseconds of a page, with and without.
    private func pageTimes(over medium: Medium, recordsFirst: Bool) throws -> Pair {
        // Two seats on one lane, for one thread.
        let pair = try FetchingPair(source, over: medium, prefetchPages: 0, vCPUs: 2)
        defer { pair.end() }
        let ring = FaultSpanRing()
        let turnPageCount = source.layout.pageCount / Self.turns
        return try pair.fetch(recordingInto: [ring, nil]) { servers -> Pair? in
            var account = FaultAccount(clocks: .same)
            var accounting = 0.0
            var times: [[Double]] = [[], []]
            for turn in 0..<Self.turns {
                let index = turn.isMultiple(of: 2) == recordsFirst ? 0 : 1
                let start = MonotonicTime.now
                for number in turn * turnPageCount..<(turn + 1) * turnPageCount {
                    let address = UInt64(number) << UInt64(GuestPage.shift)
                    guard servers[index].serve(address) else { return nil }
                    servers[index].reenters()
                }
                let end = MonotonicTime.now
                let isWarm = turn >= Self.warmUpTurns
                if isWarm { times[index].append(Double(end.nanoseconds(since: start))) }
                if turn % (2 * Self.turnsPerAccount) == 2 * Self.turnsPerAccount - 1 {
                    account.take(from: ring, vCPU: 0)
                    if isWarm { accounting += Double(MonotonicTime.now.nanoseconds(since: end)) }
                }
            }
            // A thread that loses its processor for a while does so in few turns.
            let medians = times.map { max(1, median($0) ?? 0) / Double(turnPageCount) }
            let accountingOfPage = accounting / Double(times[0].count * turnPageCount)
            return (medians[0] + accountingOfPage, medians[1])
        }
    }
}
