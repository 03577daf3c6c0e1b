// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Synchronization
import Telemetry
import Testing

@Suite struct ProgressTests {
    private static let progress = TransferProgress(
        percent: 42.34,
        pagesPerSecond: 12_345,
        bytesPerSecond: 48.2 * 1_048_576,
        requestsOutstanding: 3,
        secondsLeft: 2.13
    )
    private static let text =
        " 42.3 %   12345 pages/s   48.2 MiB/s    3 requests   2.1 s left"

    @Test func `progress is one short line`() {
        #expect(Self.progress.text == Self.text)
        var long = Self.progress
        long.percent = 100
        long.pagesPerSecond = 12_345_678
        long.bytesPerSecond = 123_456 * 1_048_576
        long.requestsOutstanding = 1024
        long.secondsLeft = 359_000
        #expect(long.text.count < 80)
    }

    @Test(
        arguments: [
            (0.04, "0.0 s left"), (59.9, "59.9 s left"), (60, "1 min left"),
            (3599, "59 min left"), (7320, "2 h 2 min left"), (.infinity, "99 h 59 min left"),
        ] as [(Double, String)]
    )
    func `the time left is as exact as one needs it`(seconds: Double, text: String) {
        var progress = Self.progress
        progress.secondsLeft = seconds
        #expect(progress.text.hasSuffix("   " + text))
    }

    @Test func `a steady rate is found at once and kept`() throws {
        var meter = ProgressMeter(pagesTotal: 1000, pageBytes: 4096, start: at(milliseconds: 0))
        for step in 1...5 {
            let progress = meter.read(
                pagesDone: UInt64(step) * 10,
                requestsOutstanding: 2,
                at: at(milliseconds: UInt64(step) * 100)
            )
            #expect(abs(progress.pagesPerSecond - 100) < 1e-6)
            #expect(abs(progress.bytesPerSecond - 409_600) < 1e-3)
            #expect(progress.percent == Double(step))
            let left = try #require(progress.secondsLeft)
            #expect(abs(left - (1000 - Double(step) * 10) / 100) < 1e-6)
        }
    }

    @Test func `a pause bends the rate, it does not break it`() {
        var meter = ProgressMeter(pagesTotal: 1000, pageBytes: 4096, start: at(milliseconds: 0))
        _ = meter.read(pagesDone: 100, requestsOutstanding: 0, at: at(milliseconds: 1000))
        let paused = meter.read(pagesDone: 100, requestsOutstanding: 0, at: at(milliseconds: 1100))
        #expect(paused.pagesPerSecond > 90 && paused.pagesPerSecond < 100)
        // The same pause read in ten steps gives the same rate.
        var often = ProgressMeter(pagesTotal: 1000, pageBytes: 4096, start: at(milliseconds: 0))
        var rate = 0.0
        for instant in [1000, 1010, 1020, 1030, 1040, 1050, 1060, 1070, 1080, 1090, 1100] {
            let now = at(milliseconds: UInt64(instant))
            rate = often.read(pagesDone: 100, requestsOutstanding: 0, at: now).pagesPerSecond
        }
        #expect(abs(rate - paused.pagesPerSecond) < 1e-6)
    }

    @Test func `no time left is claimed while nothing moves`() {
        var meter = ProgressMeter(pagesTotal: 10, pageBytes: 4096, start: at(milliseconds: 0))
        let start = meter.read(pagesDone: 0, requestsOutstanding: 0, at: at(milliseconds: 0))
        #expect(start.secondsLeft == nil && start.percent == 0)
        let end = meter.read(pagesDone: 10, requestsOutstanding: 0, at: at(milliseconds: 50))
        #expect(end.secondsLeft == 0 && end.percent == 100)
    }

    @Test func `a guest without memory is complete`() {
        var meter = ProgressMeter(pagesTotal: 0, pageBytes: 4096, start: at(milliseconds: 0))
        let progress = meter.read(pagesDone: 0, requestsOutstanding: 0, at: at(milliseconds: 1))
        #expect(progress.percent == 100)
    }

    @Test func `a terminal's line overwrites itself and phases stand alone`() {
        let log = Log()
        var printer = ProgressPrinter(output: .terminal) { log.append($0) }
        printer.phase(from: "setup", to: "switchover")
        printer.show(Self.progress, at: at(milliseconds: 0))
        printer.show(Self.progress, at: at(milliseconds: 50))
        printer.show(Self.progress, at: at(milliseconds: 100))
        printer.phase(from: "postcopy", to: "completed")
        printer.show(Self.progress, at: at(milliseconds: 200))
        printer.finish()
        printer.finish()
        let erase = "\r\u{1B}[K"
        #expect(
            log.text == "phase: setup → switchover\n" + erase + Self.text + erase + Self.text
                + erase + "phase: postcopy → completed\n" + erase + Self.text + "\n"
        )
    }

    @Test func `elsewhere there is at most one plain line a second`() {
        let log = Log()
        var printer = ProgressPrinter(output: .plain) { log.append($0) }
        for milliseconds in stride(from: 0, through: 2100, by: 100) {
            printer.show(Self.progress, at: at(milliseconds: UInt64(milliseconds)))
        }
        printer.phase(from: "postcopy", to: "completed")
        printer.finish()
        let line = Self.text + "\n"
        #expect(log.text == line + line + line + "phase: postcopy → completed\n")
    }

    private func at(milliseconds: UInt64) -> MonotonicTime {
        MonotonicTime(nanoseconds: 1_000_000_000 + milliseconds * 1_000_000)
    }
}

/// Collects what a printer writes.
private final class Log: Sendable {
    private let pieces = Mutex("")

    var text: String { pieces.withLock { $0 } }

    func append(_ piece: String) {
        pieces.withLock { $0 += piece }
    }
}
