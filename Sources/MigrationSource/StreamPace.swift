// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem
internal import MigrationWire

/// How one streaming thread makes way for requests.
///
/// While requests follow each other closely the thread works in small batches, and rests after each
/// twice as long as that took: so it always goes on, takes a third of a processor at most, and that
/// on fast and slow hosts alike. The thread is back at its full pace as soon as no request has come
/// for a moment.
///
/// When the guest has just gone on the thread does not work at all as long as requests come. Then
/// vCPUs fetch what they need to get anywhere, page after page, and where processors are short each
/// batch costs them several of these pages. A value without a clock of its own.
package struct StreamPace: Sendable {
    /// Requests closer to each other than this come in quick succession.
    package static let quiet = Duration.microseconds(1000)
    /// While the guest settles, no request for this long says that there is nothing to make way for.
    package static let settlingQuiet = Duration.milliseconds(60)
    /// A rest is so many times as long as the batch before it took.
    package static let restFactor: UInt64 = 2
    /// The longest rest: a batch may have waited for room on its lane.
    package static let longestRest = Duration.milliseconds(10)
    /// Pages in one frame: 64 KiB of guest memory.
    package static let batchPages = 16
    /// Pages in one frame while requests come in quick succession.
    package static let smallBatchPages = 4

    private var restUntil = MonotonicTime(nanoseconds: 0)

    /// Nothing sent yet.
    package init() {}

    /// Whether requests come in quick succession.
    ///
    /// - Parameters:
    ///   - now: The present instant.
    ///   - lastRequest: When the last request came; nil before the first one.
    /// - Returns: Whether the last one is less than `quiet` ago.
    package static func isPressed(at now: MonotonicTime, lastRequest: MonotonicTime?) -> Bool {
        guard let lastRequest else { return false }
        return now.nanoseconds(since: lastRequest) < quiet.wholeNanoseconds
    }

    /// How long to rest before the next batch.
    ///
    /// - Parameters:
    ///   - now: The present instant.
    ///   - lastRequest: When the last request came; nil before the first one.
    ///   - resumed: When the guest went on at the destination; nil before it has.
    /// - Returns: The time, above zero; nil for not at all.
    package func rest(
        at now: MonotonicTime,
        lastRequest: MonotonicTime?,
        resumed: MonotonicTime?
    ) -> Duration? {
        if let resumed {
            let lastSign = max(resumed, lastRequest ?? resumed)
            let settled = min(
                resumed.advanced(by: Phase.settling),
                lastSign.advanced(by: Self.settlingQuiet)
            )
            if now < settled { return .nanoseconds(Int64(settled.nanoseconds(since: now))) }
        }
        guard let lastRequest, Self.isPressed(at: now, lastRequest: lastRequest),
            restUntil > now
        else { return nil }
        let quietAt = lastRequest.advanced(by: Self.quiet)
        return .nanoseconds(Int64(min(restUntil, quietAt).nanoseconds(since: now)))
    }

    /// Takes note of the time that a batch took.
    package mutating func worked(from start: MonotonicTime, to end: MonotonicTime) {
        let rest = end.nanoseconds(since: start) * Self.restFactor
        let longest = Self.longestRest.wholeNanoseconds
        restUntil = MonotonicTime(nanoseconds: end.nanoseconds + min(rest, longest))
    }
}
