// SPDX-License-Identifier: Apache-2.0

import Telemetry
import Testing

@Suite struct SummaryTests {
    @Test func `a completed migration in some twenty lines`() {
        #expect(
            Summary(Samples.completed).text == """
                migration         completed   as seen by the destination
                guest             walker, 2 vCPUs, 512 MiB, anonymous
                lanes             unix:/run/apus.socket
                fault path        userfault
                downtime          4.21 ms
                  its parts       save 310 µs, send 50 µs, wire 120 µs, load 1.60 ms, start 2.13 ms
                  quiesce         180 µs      before the downtime, not in it
                gap from outside  9.90 ms     before 2.10 ms, after 2.30 ms
                gap in the guest  5 ms        by its own clock
                postcopy          812 ms      631 MiB/s
                total time        1.03 s
                pages             131072      requested 812, prefetched 96, streamed 130164, zero 26214, duplicate 3
                bytes             512 MiB     310 MiB on the wire, 60.5 %
                page requests     812         faults: 800 by vCPUs, 12 by others
                fault latency     p50 203 µs, p90 366 µs, p99 402 µs, p99.9 406 µs, max 406 µs
                walker            123456      pages verified, passes of a vCPU: 12 to 13
                memory at most    530 MiB     18 MiB beyond the guest, metadata 1.25 B a page
                CPU time          1.20 s
                digest: match

                """
        )
    }

    @Test func `precopy rounds have a line`() {
        var report = Samples.completed
        report.precopy = Samples.precopy
        let lines = Summary(report).text.split(separator: "\n")
        #expect(
            lines.contains(
                "precopy           450 ms      2 rounds, 18384 pages, 36 MiB, "
                    + "the last in the pause, 50 ms, discarded 1384"
            ),
            "\(lines)"
        )
        #expect(lines.contains { $0.hasPrefix("pages             131072      precopied 15000, ") })
    }

    @Test func `a failed migration says why and compares nothing`() {
        #expect(
            Summary(Samples.failed).text == """
                migration         failed      as seen by the source
                error             the destination closed the control lane during setup
                guest             walker, 1 vCPU, 64 MiB, memfd
                lanes             tcp:127.0.0.1:4000
                fault path        userfault
                pages             16384       requested 0, prefetched 0, streamed 0, zero 0, duplicate 0
                digest: not compared

                """
        )
    }

    @Test func `different digests are both named`() {
        var report = Samples.completed
        report.outcome = .digestMismatch
        report.digest = DigestComparison(source: "aa", destination: "bb")
        let lines = Summary(report).text.split(separator: "\n")
        #expect(lines.first == "migration         digest mismatch as seen by the destination")
        #expect(lines.last == "digest: MISMATCH source aa destination bb")
    }

    @Test func `without a common clock the downtime is unknown`() {
        var report = Samples.completed
        report.apply(Samples.timeline, clocks: .unrelated, guest: [])
        report.gaps.outsideMicroseconds = nil
        let text = Summary(report).text
        #expect(text.contains("downtime          unknown     the two sides' clocks"))
        #expect(text.contains("gap from outside  unknown     before 2.10 ms, after 2.30 ms"))
    }

    @Test(
        arguments: [
            (0, "0 ns"), (999, "999 ns"), (1000, "1 µs"), (48_100, "48.1 µs"), (999_400, "999 µs"),
            (999_600, "1.00 ms"), (4_210_000, "4.21 ms"), (9_996_000, "10.0 ms"),
            (1_030_000_000, "1.03 s"), (90_000_000_000, "90 s"),
        ] as [(UInt64, String)]
    )
    func `durations have three digits and a fitting unit`(nanoseconds: UInt64, text: String) {
        #expect(HumanUnits.duration(nanoseconds: nanoseconds) == text)
    }

    @Test(
        arguments: [
            (0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (512 << 20, "512 MiB"),
            ((1 << 30) + (1 << 28), "1.25 GiB"), ((1 << 20) - 1, "1.00 MiB"),
        ] as [(UInt64, String)]
    )
    func `bytes have three digits and a binary unit`(count: UInt64, text: String) {
        #expect(HumanUnits.bytes(count) == text)
    }
}
