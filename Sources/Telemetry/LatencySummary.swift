// SPDX-License-Identifier: Apache-2.0

/// What a report says of a ``LatencyHistogram``.
///
/// QEMU's `postcopy-latency` is `mean_ns` here, its `postcopy-latency-dist` is `log2_us_buckets`.
package struct LatencySummary: Codable, Equatable, Sendable {
    /// How many events.
    package var count: UInt64
    /// Arithmetic mean.
    package var meanNanoseconds: UInt64
    /// Half of the events took no longer.
    package var p50Nanoseconds: UInt64
    /// 90 % of the events took no longer.
    package var p90Nanoseconds: UInt64
    /// 99 % of the events took no longer.
    package var p99Nanoseconds: UInt64
    /// 99.9 % of the events took no longer.
    package var p999Nanoseconds: UInt64
    /// The longest of all.
    package var maximumNanoseconds: UInt64
    /// Events in [2^N, 2^(N+1)) µs for N = 0 … 23; the ends take what is outside.
    package var log2MicrosecondBuckets: [UInt64]

    /// Reads a histogram's percentiles.
    package init(_ histogram: LatencyHistogram) {
        count = histogram.count
        meanNanoseconds = histogram.meanNanoseconds
        p50Nanoseconds = histogram.nanoseconds(atPercentile: 50)
        p90Nanoseconds = histogram.nanoseconds(atPercentile: 90)
        p99Nanoseconds = histogram.nanoseconds(atPercentile: 99)
        p999Nanoseconds = histogram.nanoseconds(atPercentile: 99.9)
        maximumNanoseconds = histogram.maximumNanoseconds
        log2MicrosecondBuckets = histogram.buckets.indices.map { histogram.buckets[$0] }
    }

    private enum CodingKeys: String, CodingKey {
        case count
        case meanNanoseconds = "mean_ns"
        case p50Nanoseconds = "p50_ns"
        case p90Nanoseconds = "p90_ns"
        case p99Nanoseconds = "p99_ns"
        case p999Nanoseconds = "p99_9_ns"
        case maximumNanoseconds = "max_ns"
        case log2MicrosecondBuckets = "log2_us_buckets"
    }
}
