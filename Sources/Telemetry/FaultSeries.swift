// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// Faults per interval of 10 ms, by when they ended.
package struct FaultSeries: Codable, Equatable, Sendable {
    /// When the first interval began, on the destination's CLOCK_MONOTONIC.
    package var began: MonotonicTime
    /// Length of an interval.
    package var intervalMicroseconds = SeriesInterval.microseconds
    /// How many faults ended in each interval; intervals after the last fault are absent.
    package var count: [UInt64] = []
    /// How long these faults had taken, added up.
    package var blockedMicroseconds: [UInt64] = []

    init(began: MonotonicTime) {
        self.began = began
    }

    mutating func add(_ span: FaultSpan) {
        guard let interval = SeriesInterval.index(of: span.ended, since: began) else { return }
        let missing = interval + 1 - count.count
        if missing > 0 {
            count.append(contentsOf: repeatElement(0, count: missing))
            blockedMicroseconds.append(contentsOf: repeatElement(0, count: missing))
        }
        count[interval] += 1
        blockedMicroseconds[interval] += span.nanoseconds / 1000
    }

    private enum CodingKeys: String, CodingKey {
        case began = "began_ns"
        case intervalMicroseconds = "interval_us"
        case count
        case blockedMicroseconds = "blocked_us"
    }
}

/// How time is cut where a report shows a course.
enum SeriesInterval {
    static let microseconds: UInt64 = 10_000
    /// Intervals that a series has at most: two minutes.
    ///
    /// What comes later is not in it.
    static let most = 12_000

    /// In which interval an instant lies; nil when it is not in the series.
    static func index(of instant: MonotonicTime, since began: MonotonicTime) -> Int? {
        guard instant >= began else { return nil }
        let index = Int(clamping: instant.nanoseconds(since: began) / (microseconds * 1000))
        return index < most ? index : nil
    }
}
