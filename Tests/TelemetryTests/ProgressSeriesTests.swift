// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Telemetry
import Testing

@Suite struct ProgressSeriesTests {
    private func at(milliseconds: UInt64) -> MonotonicTime {
        MonotonicTime(nanoseconds: 1_000_000_000 + milliseconds * 1_000_000)
    }

    @Test func `what was done between two looks is spread over the time between them`() {
        var series = ProgressSeries(from: at(milliseconds: 0), to: at(milliseconds: 40))
        series.add(300, from: at(milliseconds: 5), to: at(milliseconds: 35))
        #expect(series.iterations == [50, 100, 100, 50])
    }

    @Test func `nothing is lost or made up by rounding`() {
        var series = ProgressSeries(from: at(milliseconds: 0), to: at(milliseconds: 70))
        series.add(1_000_003, from: at(milliseconds: 1), to: at(milliseconds: 68))
        #expect(series.iterations.reduce(0, +) == 1_000_003)
    }

    @Test func `what was done before the series or after it is not in it`() {
        var series = ProgressSeries(from: at(milliseconds: 100), to: at(milliseconds: 120))
        series.add(400, from: at(milliseconds: 90), to: at(milliseconds: 130))
        series.add(7, from: at(milliseconds: 10), to: at(milliseconds: 20))
        series.add(7, from: at(milliseconds: 500), to: at(milliseconds: 520))
        series.add(7, from: at(milliseconds: 110), to: at(milliseconds: 110))
        #expect(series.iterations == [100, 100])
    }

    @Test func `counters wrap, and vCPUs add up`() {
        let series = ProgressSeries(
            [
                [
                    (at(milliseconds: 0), .max - 9), (at(milliseconds: 10), 10),
                    (at(milliseconds: 20), 30),
                ],
                [(at(milliseconds: 10), 5), (at(milliseconds: 20), 6)],
                [],
            ],
            from: at(milliseconds: 0),
            to: at(milliseconds: 25)
        )
        // The last interval is whole, or it is not there.
        #expect(series.iterations == [20, 21])
    }

    @Test func `a series has an end`() {
        let series = ProgressSeries(from: at(milliseconds: 0), to: at(milliseconds: 1_000_000))
        #expect(series.iterations.count == 12_000)
    }
}
