// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Telemetry

/// Reports of migrations that never happened, with round numbers.
enum Samples {
    /// A destination's report with every field filled in.
    static var completed: MigrationReport {
        var report = MigrationReport(
            role: .destination,
            machine: MigratedMachine(
                guest: "walker",
                vcpuCount: 2,
                memoryBytes: 512 << 20,
                pageBytes: 4096,
                backing: "anonymous"
            ),
            faultPath: "userfault",
            transport: "unix:/run/apus.socket",
            outcome: .completed
        )
        report.apply(timeline, clocks: .same, guest: [UInt8](repeating: 0xA5, count: 16))
        report.totalMicroseconds = 1_030_000
        report.gaps.outsideMicroseconds = 9900
        report.gaps.outsideBeforeMicroseconds = 2100
        report.gaps.outsideAfterMicroseconds = 2300
        report.gaps.guestMicroseconds = 5000
        report.pages.total = 131_072
        report.pages.requested = 812
        report.pages.prefetched = 96
        report.pages.streamed = 130_164
        report.pages.zero = 26_214
        report.pages.duplicate = 3
        report.bytes.raw = 512 << 20
        report.bytes.wire = 310 << 20
        report.faults = faults
        let digest = "0123456789abcdef0123456789abcdef"
        report.digest = DigestComparison(source: digest, destination: digest)
        report.resources.processCPUMicroseconds = 1_200_000
        report.resources.residentPeakBytes = 530 << 20
        report.resources.residentBeyondGuestBytes = 18 << 20
        report.resources.metadataBytesPerPage = 1.25
        report.walker = WalkerProgress(iterations: 123_456, passes: [12, 13])
        return report
    }

    /// Two rounds, one of them in the pause.
    static var precopy: PrecopyAccount {
        PrecopyAccount(
            tracking: nil,
            pages: 15_000,
            discardedPages: 1384,
            rounds: [
                PrecopyAccount.Round(
                    pages: 16_384,
                    zeroPages: 500,
                    wireBytes: 32 << 20,
                    durationMicroseconds: 400_000,
                    isPaused: false
                ),
                PrecopyAccount.Round(
                    pages: 2000,
                    zeroPages: 0,
                    wireBytes: 4 << 20,
                    durationMicroseconds: 50_000,
                    isPaused: true
                ),
            ]
        )
    }

    /// A source's report of a migration that never got anywhere.
    static var failed: MigrationReport {
        var report = MigrationReport(
            role: .source,
            machine: MigratedMachine(
                guest: "walker",
                vcpuCount: 1,
                memoryBytes: 64 << 20,
                pageBytes: 4096,
                backing: "memfd"
            ),
            faultPath: "userfault",
            transport: "tcp:127.0.0.1:4000",
            outcome: .failed
        )
        report.error = "the destination closed the control lane during setup"
        report.pages.total = 16_384
        return report
    }

    static var timeline: Timeline {
        var timeline = Timeline()
        timeline.mark(\.pauseRequested, at: instant(microseconds: 9820))
        timeline.mark(\.pause, at: instant(microseconds: 10_000))
        timeline.mark(\.stateSaved, at: instant(microseconds: 10_310))
        timeline.mark(\.stateSent, at: instant(microseconds: 10_360))
        timeline.mark(\.stateReceived, at: instant(microseconds: 10_480))
        timeline.mark(\.stateLoaded, at: instant(microseconds: 12_080))
        timeline.mark(\.run, at: instant(microseconds: 14_210))
        timeline.mark(\.firstFault, at: instant(microseconds: 14_230))
        timeline.mark(\.lastPage, at: instant(microseconds: 826_210))
        timeline.mark(\.done, at: instant(microseconds: 827_000))
        return timeline
    }

    static func instant(microseconds: UInt64) -> MonotonicTime {
        MonotonicTime(nanoseconds: microseconds * 1000)
    }

    private static var faults: FaultCounts {
        var histogram = LatencyHistogram()
        for latency in 1...812 { histogram.record(nanoseconds: UInt64(latency) * 500) }
        var faults = FaultCounts()
        faults.requests = 812
        faults.vcpu = 800
        faults.other = 12
        faults.latency = LatencySummary(histogram)
        return faults
    }
}
