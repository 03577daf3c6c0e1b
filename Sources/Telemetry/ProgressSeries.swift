// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// What the guest got done per interval of 10 ms, by its own counters.
package struct ProgressSeries: Codable, Equatable, Sendable {
    /// When the first interval began, on the reporting side's CLOCK_MONOTONIC.
    package var began: MonotonicTime
    /// Length of an interval.
    package var intervalMicroseconds = SeriesInterval.microseconds
    /// Iterations of all vCPUs in each interval, the last interval whole.
    package private(set) var iterations: [UInt64]

    /// A series of intervals in which nothing has been done.
    ///
    /// - Parameters:
    ///   - began: When it begins.
    ///   - end: When it ends; two minutes later at the latest.
    package init(from began: MonotonicTime, to end: MonotonicTime) {
        self.began = began
        let interval = Self.intervalNanoseconds
        let count = Int(clamping: end.nanoseconds(since: began) / interval)
        iterations = [UInt64](repeating: 0, count: min(count, SeriesInterval.most))
    }

    /// What vCPUs got done between two instants.
    ///
    /// - Parameters:
    ///   - samples: Of each vCPU, in order: what it had done by when; counts may wrap.
    ///   - began: When the series begins.
    ///   - end: When it ends.
    package init(
        _ samples: [[(instant: MonotonicTime, iterations: UInt32)]],
        from began: MonotonicTime,
        to end: MonotonicTime
    ) {
        self.init(from: began, to: end)
        for vCPU in samples {
            for (earlier, later) in zip(vCPU, vCPU.dropFirst()) {
                let count = UInt64(later.iterations &- earlier.iterations)
                add(count, from: earlier.instant, to: later.instant)
            }
        }
    }

    private static let intervalNanoseconds = SeriesInterval.microseconds * 1000

    /// Adds what a vCPU has done since it was last looked at.
    ///
    /// It is spread evenly over that time, so that a look every 5 ms does not make every second
    /// interval twice as good as the others.
    ///
    /// - Parameters:
    ///   - count: Iterations.
    ///   - start: When it was last looked at.
    ///   - end: Now.
    package mutating func add(_ count: UInt64, from start: MonotonicTime, to end: MonotonicTime) {
        let length = end.nanoseconds(since: start)
        guard length > 0, end > began else { return }
        var done: UInt64 = 0
        var cut = start
        while cut < end {
            let place = cut.nanoseconds(since: began) / Self.intervalNanoseconds
            // What lies before the series is one piece.
            let limit =
                cut < began
                ? began.nanoseconds
                : began.nanoseconds + (place + 1) * Self.intervalNanoseconds
            let next = MonotonicTime(nanoseconds: min(limit, end.nanoseconds))
            let upToNext = Self.share(of: count, next.nanoseconds(since: start), of: length)
            if cut >= began {
                guard place < iterations.count else { return }
                iterations[Int(place)] += upToNext - done
            }
            done = upToNext
            cut = next
        }
    }

    private static func share(of count: UInt64, _ part: UInt64, of whole: UInt64) -> UInt64 {
        whole.dividingFullWidth(count.multipliedFullWidth(by: part)).quotient
    }

    private enum CodingKeys: String, CodingKey {
        case began = "began_ns"
        case intervalMicroseconds = "interval_us"
        case iterations
    }
}
