// SPDX-License-Identifier: Apache-2.0

internal import Foundation

/// How far the transfer of guest memory is.
package struct TransferProgress: Equatable, Sendable {
    /// Pages that are where they should be, in percent of guest memory.
    package var percent: Double
    /// Pages per second, smoothed.
    package var pagesPerSecond: Double
    /// Bytes of page contents per second, smoothed.
    package var bytesPerSecond: Double
    /// Page requests not yet answered.
    package var requestsOutstanding: Int
    /// Estimate from the remaining pages and the smoothed rate; nil while nothing moves.
    package var secondsLeft: Double?
    /// Pages by how they came; nil where that is not known, which is at the source.
    package var pages: PageCounts?
    /// Bytes sent; nil where that is not known, which is at the destination.
    package var bytes: ByteCounts?

    /// - Parameters:
    ///   - percent: Pages that have arrived.
    ///   - pagesPerSecond: Their rate.
    ///   - bytesPerSecond: The same in bytes.
    ///   - requestsOutstanding: Requests not yet answered.
    ///   - secondsLeft: An estimate, or nil.
    package init(
        percent: Double,
        pagesPerSecond: Double,
        bytesPerSecond: Double,
        requestsOutstanding: Int,
        secondsLeft: Double?
    ) {
        self.percent = percent
        self.pagesPerSecond = pagesPerSecond
        self.bytesPerSecond = bytesPerSecond
        self.requestsOutstanding = requestsOutstanding
        self.secondsLeft = secondsLeft
    }

    /// One line of less than 80 columns, for example
    /// ` 42.3 %   12345 pages/s   48.2 MiB/s    3 requests   2.1 s left`.
    package var text: String {
        let rate = HumanUnits.rate(bytesPerSecond: bytesPerSecond)
        let left = secondsLeft.map { "   \(Self.timeLeft($0)) left" } ?? ""
        return String(format: "%5.1f %%", percent)
            + String(format: "%8.0f pages/s", pagesPerSecond)
            + String(repeating: " ", count: max(1, 13 - rate.count)) + rate
            + String(format: "%5d request", requestsOutstanding)
            + (requestsOutstanding == 1 ? " " : "s") + left
    }

    private static func timeLeft(_ seconds: Double) -> String {
        if seconds < 60 { return String(format: "%.1f s", seconds) }
        let minutes = Int(min(seconds, 359_999)) / 60
        return minutes < 60 ? "\(minutes) min" : "\(minutes / 60) h \(minutes % 60) min"
    }
}
