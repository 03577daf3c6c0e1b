// SPDX-License-Identifier: Apache-2.0

internal import Foundation
package import LinuxSystem

/// Turns readings of a page counter into smoothed rates and a time left.
///
/// The rate is an exponentially weighted mean with a time constant of one second: readings may be
/// taken as often as one likes, and a short pause does not make the time left jump.
package struct ProgressMeter: Sendable {
    private static let timeConstantSeconds = 1.0

    private let pagesTotal: UInt64
    private let pageBytes: Int
    private var pagesBefore: UInt64
    private var instantBefore: MonotonicTime
    private var pagesPerSecond: Double?

    /// Starts measuring.
    ///
    /// - Parameters:
    ///   - pagesTotal: Pages of guest memory.
    ///   - pageBytes: Bytes of a page.
    ///   - pagesDone: Pages that have arrived already.
    ///   - start: When that was so.
    package init(
        pagesTotal: UInt64,
        pageBytes: Int,
        pagesDone: UInt64 = 0,
        start: MonotonicTime = .now
    ) {
        self.pagesTotal = pagesTotal
        self.pageBytes = pageBytes
        pagesBefore = pagesDone
        instantBefore = start
    }

    /// Takes a reading.
    ///
    /// - Parameters:
    ///   - pagesDone: Pages that have arrived by now.
    ///   - requestsOutstanding: Requests not yet answered.
    ///   - instant: When the counter was read.
    /// - Returns: The progress as of now.
    package mutating func read(
        pagesDone: UInt64,
        requestsOutstanding: Int,
        at instant: MonotonicTime = .now
    ) -> TransferProgress {
        let seconds = Double(instant.nanoseconds(since: instantBefore)) / 1e9
        if seconds > 0 {
            let pages = pagesDone > pagesBefore ? pagesDone - pagesBefore : 0
            let rate = Double(pages) / seconds
            let weight = 1 - exp(-seconds / Self.timeConstantSeconds)
            pagesPerSecond = pagesPerSecond.map { $0 + weight * (rate - $0) } ?? rate
            pagesBefore = pagesDone
            instantBefore = instant
        }
        let rate = pagesPerSecond ?? 0
        let done = min(pagesDone, pagesTotal)
        let pagesLeft = Double(pagesTotal - done)
        // Less than a page in a hundred seconds is standing still.
        let isMoving = rate > 0.01 || pagesLeft == 0
        return TransferProgress(
            percent: pagesTotal == 0 ? 100 : 100 * Double(done) / Double(pagesTotal),
            pagesPerSecond: rate,
            bytesPerSecond: rate * Double(pageBytes),
            requestsOutstanding: requestsOutstanding,
            secondsLeft: isMoving ? (pagesLeft == 0 ? 0 : pagesLeft / rate) : nil
        )
    }
}
