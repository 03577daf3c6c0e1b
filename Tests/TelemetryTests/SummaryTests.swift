// SPDX-License-Identifier: Apache-2.0

import Telemetry
import Testing

@Suite struct SummaryTests {
    @Test func `a completed migration in some twenty lines`() {
        #expect(
            Summary(Samples.completed).text == """
                X
                """
        )
    }

    @Test func `a failed migration says why and compares nothing`() {
        #expect(
            Summary(Samples.failed).text == """
                X
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
        report.apply(Samples.timeline, clocks: .unrelated)
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
