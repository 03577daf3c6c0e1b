// SPDX-License-Identifier: Apache-2.0

import Telemetry
import Testing

@Suite struct LatencyHistogramTests {
    @Test(arguments: [1, 2, 3] as [UInt64])
    func `percentiles are those of the sorted latencies within 0.1 %`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var histogram = LatencyHistogram()
        // Over eight powers of ten, as fault latencies can be.
        var latencies = (0..<20_000).map { _ in
            let exponent = Int.random(in: 0...8, using: &random)
            let digit = UInt64.random(in: 1...9, using: &random)
            return digit * powerOfTen(exponent) + UInt64.random(in: 0...999, using: &random)
        }
        for latency in latencies { histogram.record(nanoseconds: latency) }
        latencies.sort()

        for percentile in [50, 90, 99, 99.9] {
            let rank = Int((percentile / 100 * Double(latencies.count)).rounded(.up))
            let exact = latencies[rank - 1]
            let found = histogram.nanoseconds(atPercentile: percentile)
            #expect(found >= exact, "p\(percentile), seed \(seed)")
            #expect(Double(found) <= Double(exact) * 1.001, "p\(percentile), seed \(seed)")
        }
        #expect(histogram.count == 20_000)
        #expect(histogram.maximumNanoseconds == latencies[latencies.count - 1])
        #expect(histogram.meanNanoseconds == latencies.reduce(0, +) / 20_000)
    }

    @Test func `an empty histogram is all zeros`() {
        let summary = LatencySummary(LatencyHistogram())
        #expect(summary.count == 0)
        #expect(summary.meanNanoseconds == 0)
        #expect(summary.p50Nanoseconds == 0)
        #expect(summary.p999Nanoseconds == 0)
        #expect(summary.maximumNanoseconds == 0)
        #expect(summary.log2MicrosecondBuckets == [UInt64](repeating: 0, count: 24))
    }

    @Test(
        arguments: [
            (0, 0), (999, 0), (1000, 0), (1999, 0), (2000, 1), (3999, 1), (4000, 2),
            (1_023_999, 9), (1_024_000, 10), (8_388_607_999, 22), (8_388_608_000, 23),
            (16_777_216_000, 23), (UInt64.max, 23),
        ] as [(UInt64, Int)]
    )
    func `bucket N holds 2^N to 2^(N+1) microseconds`(nanoseconds: UInt64, bucket: Int) {
        #expect(LatencyHistogram.bucket(ofNanoseconds: nanoseconds) == bucket)
        var histogram = LatencyHistogram()
        histogram.record(nanoseconds: nanoseconds)
        #expect(histogram.buckets[bucket] == 1)
    }

    @Test func `what is outside counts as the nearest latency`() {
        var histogram = LatencyHistogram()
        histogram.record(nanoseconds: 0)
        histogram.record(nanoseconds: .max)
        #expect(histogram.count == 2)
        #expect(histogram.nanoseconds(atPercentile: 50) == 1)
        #expect(histogram.maximumNanoseconds == LatencyHistogram.highestNanoseconds)
    }

    @Test func `merged histograms equal one that recorded everything`() {
        var random = SeededGenerator(seed: 7)
        var (first, second, both) = (LatencyHistogram(), LatencyHistogram(), LatencyHistogram())
        for index in 0..<2000 {
            let latency = UInt64.random(in: 1...1_000_000, using: &random)
            if index % 3 == 0 {
                first.record(nanoseconds: latency)
            } else {
                second.record(nanoseconds: latency)
            }
            both.record(nanoseconds: latency)
        }
        first.merge(second)
        #expect(LatencySummary(first) == LatencySummary(both))
    }

    private func powerOfTen(_ exponent: Int) -> UInt64 {
        (0..<exponent).reduce(1) { value, _ in value * 10 }
    }
}
