// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import Console
internal import Foundation
internal import GuestMemory
internal import LinuxSystem
internal import Telemetry

/// `apus bench lanes`: what page lanes, streams and installs are worth.
struct Lanes: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "How near page lanes, streams and installs come to what this host can do.",
        discussion: """
            Each number stands beside its ceiling, which is measured in the same round: what the \
            same bytes cost over the same medium, or in the same system calls, with nothing \
            around them. Values are medians of the rounds, ratios medians of the rounds' ratios.

            METRICS:
              round-trip-MEDIUM      A request of 48 bytes over a page lane, and an answer with
                                     one page as it is, between two threads. Ceiling: a bare
                                     ping-pong; for rings two words and two copies in memory.
                                     In ns; a ratio is to be small.
              stream-MEDIUM-BACKING  The background stream of a source into a destination that
                                     installs, of pages that LZ4 halves. Ceiling: the slower of
                                     LZ4, and unpacking and installing, each alone on one thread
                                     while the other works on one as well, with nothing between
                                     them. In pages/s.
              stages-BACKING         That ceiling. Ceiling: the slower of both, one after the other;
                                     what a busy processor takes from the one beside it. In pages/s.
              install-WAY-SIZE       The destination's installer on ready frames of 16 pages.
                                     Ceiling: a loop that unpacks and hashes the pages, writes
                                     them where memory is a memfd, and makes one ioctl for each
                                     frame. In pages/s.
              verification-WAY-SIZE  That loop. Ceiling: the same without the hash, which is what
                                     a digest of all memory costs. In pages/s.
              latency-MEDIUM         The 99th percentile of the time from a vCPU's touch of an
                                     absent page to its install, while the background stream runs
                                     at full speed; requests come at random within 2 ms. Ceiling:
                                     the same without a stream. In ns; a ratio is to be small.
              allocations-MEDIUM     Heap allocations of all threads during that, beside the pages
                                     that came; a ratio is to be small.
              recording-MEDIUM       A thread that fetches page after page as a vCPU does, while the
                                     stages of each fault are stamped, and added up by another
                                     thread. Ceiling: the same without. In pages/s.
              growth-WAY-SIZE        Time of one page with so much memory.
                                     Ceiling: the time with the first of --sizes, times what the
                                     bare loop took longer. In ns; a ratio is to be small.
            MEDIUM is ring, unix or tcp (loopback), BACKING memfd or anonymous, WAY continue \
            (memfd), copy or zero (anonymous); continue and copy are left out at sizes that this \
            host has no memory for.

            Streams and round trips are of two threads: measure on two processors that have \
            nothing else to do. Locks are not counted; scripts/check sees to it that there are none.

            EXAMPLES:
              apus bench lanes
              apus bench lanes --only round-trip,stream-ring --rounds 9
              apus bench lanes --only install,growth --sizes 64M,512M,2G,8G
              apus bench lanes --require round-trip-ring=2.0,stream=0.6,growth=1.1 --json
            """
    )

    @Option(
        help: ArgumentHelp(
            "Measure these alone: metrics, or the beginnings of their names.",
            valueName: "name,…"
        )
    )
    var only: LaneNames?

    @Option(help: "How often each is measured, in turns.")
    var rounds = 5

    @Option(help: "Round trips in a round.")
    var trips = 20_000

    @Option(
        name: [.customShort("b"), .customLong("bytes")],
        help: "Memory of a stream. (default: 64M)"
    )
    var bytes = ByteCount(bytes: 64 << 20)

    @Option(help: "Memory that requests are made in, beside a stream of all of it. (default: 1G)")
    var latencyBytes = ByteCount(bytes: 1 << 30)

    @Option(
        help: ArgumentHelp("Memory to install: \(SizeList.help).", valueName: "64M,512M")
    )
    var sizes: SizeList?

    @Option(
        help: ArgumentHelp(
            """
            Exit with 1 where a ratio is above (round-trip, growth) or below (stream, install) \
            this. A name holds for all metrics that begin with it, the longest wins.
            """,
            valueName: "name=ratio,…"
        )
    )
    var require: LaneLimits?

    @Option(
        help: ArgumentHelp(
            """
            Write JSON, one line for each metric; to standard output, instead of the table, if \
            --json stands alone.
            """,
            valueName: "file"
        )
    )
    var json: JSONOutput?

    func validate() throws {
        guard (1...1000).contains(rounds) else { throw ValidationError("--rounds takes 1 to 1000") }
        guard (1...10_000_000).contains(trips) else {
            throw ValidationError("--trips takes 1 to 10000000")
        }
        let frame = ReadyFrames.pagesPerFrame * GuestPage.byteCount
        for (name, size) in [("-b", bytes.bytes), ("--latency-bytes", latencyBytes.bytes)] {
            guard (1...16 << 30).contains(size), size % frame == 0 else {
                throw ValidationError("\(name) takes whole multiples of \(frame >> 10)K, up to 16G")
            }
        }
    }

    func run() throws {
        try WorkbenchStatus.concluding { () throws(BenchFailure) in
            try measure()
        }
    }

    private func measure() throws(BenchFailure) {
        let others = OtherWork()
        let metrics = try LaneExperiments.measure(
            LaneExperiments.Plan(
                only: only,
                rounds: rounds,
                trips: trips,
                streamPageCount: bytes.bytes / GuestPage.byteCount,
                latencyPageCount: latencyBytes.bytes / GuestPage.byteCount,
                sizes: (sizes ?? SizeList.standard).sizes
            )
        )
        if let share = others?.share, share > 0.05 {
            let percent = HumanUnits.significant(share * 100)
            ConsoleObserver(program: "apus").noted(
                "other processes took \(percent) % of the processors: streams need two for themselves"
            )
        }
        try json?.write(lines: metrics)
        if json?.isStandardOutput != true {
            print(LaneTable.text(metrics, require, rounds: rounds))
        }
        let shortfalls = require?.shortfalls(in: metrics) ?? []
        guard shortfalls.isEmpty else {
            throw .failed("falls short: " + shortfalls.joined(separator: "; "))
        }
    }
}
