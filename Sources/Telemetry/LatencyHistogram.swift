// SPDX-License-Identifier: Apache-2.0

internal import Histogram

/// Latencies of one kind of event, for percentiles and for QEMU's distribution.
///
/// Each thread records into a histogram of its own; they are merged at the end. A histogram takes
/// about 230 KiB, all of it when it is made: recording allocates nothing.
package struct LatencyHistogram: Sendable {
    /// How many buckets QEMU's `postcopy-latency-dist` has.
    package static let bucketCount = 24
    /// Longer latencies count as this one: 100 s.
    package static let highestNanoseconds: UInt64 = 100_000_000_000

    /// Events by microseconds: bucket N counts those in [2^N, 2^(N+1)) µs, as QEMU's does.
    ///
    /// What is below 1 µs is in the first bucket, what is beyond the last bucket is in the last.
    package private(set) var buckets: [24 of UInt64]
    private var values: Histogram<UInt64>
    private var totalNanoseconds: UInt64

    /// A histogram of no events, at the cost of one allocation of about 230 KiB.
    package init() {
        buckets = [24 of UInt64](repeating: 0)
        values = Histogram(
            lowestDiscernibleValue: 1,
            highestTrackableValue: Self.highestNanoseconds,
            numberOfSignificantValueDigits: .three
        )
        totalNanoseconds = 0
    }

    /// Counts one event.
    ///
    /// Cost: a few nanoseconds, no allocation.
    ///
    /// - Parameter nanoseconds: Its latency; taken as 1 ns … 100 s when it is outside.
    package mutating func record(nanoseconds: UInt64) {
        let latency = min(max(nanoseconds, 1), Self.highestNanoseconds)
        values.record(latency)
        buckets[Self.bucket(ofNanoseconds: latency)] += 1
        // Wraps after 584 years of waiting, added up over all threads.
        totalNanoseconds &+= latency
    }

    /// Adds the events of another histogram to this one.
    package mutating func merge(_ other: LatencyHistogram) {
        values.add(other.values)
        for bucket in buckets.indices {
            buckets[bucket] += other.buckets[bucket]
        }
        totalNanoseconds &+= other.totalNanoseconds
    }

    /// How many events were recorded.
    package var count: UInt64 { values.totalCount }

    /// The largest latency recorded, exactly; zero when there is none.
    package var maximumNanoseconds: UInt64 { values.maxRecorded }

    /// The arithmetic mean, exactly; zero when there are no events.
    package var meanNanoseconds: UInt64 { count == 0 ? 0 : totalNanoseconds / count }

    /// The latency that a share of the events did not exceed, to 3 significant digits.
    ///
    /// - Parameter percentile: From 0 to 100.
    /// - Returns: Never less than the true value, at most 0.1 % more; zero without events.
    package func nanoseconds(atPercentile percentile: Double) -> UInt64 {
        count == 0 ? 0 : values.valueAtPercentile(percentile)
    }

    /// Which of QEMU's buckets a latency belongs to.
    package static func bucket(ofNanoseconds nanoseconds: UInt64) -> Int {
        let microseconds = nanoseconds / 1000
        guard microseconds > 0 else { return 0 }
        return min(UInt64.bitWidth - 1 - microseconds.leadingZeroBitCount, bucketCount - 1)
    }
}
