// SPDX-License-Identifier: Apache-2.0

internal import LinuxSystem
internal import Telemetry

/// What the guest got done before, during and after postcopy.
struct ProgressAccount {
    /// Something per interval, with where it begins and ends in milliseconds.
    struct Course {
        let begins: Double
        let intervalMilliseconds: Double
        let values: [UInt64]

        /// Nil where there is nothing, or no length.
        init?(begins: Double, intervalMicroseconds: UInt64, _ values: [UInt64]) {
            guard !values.isEmpty, intervalMicroseconds > 0 else { return nil }
            self.begins = begins
            intervalMilliseconds = Double(intervalMicroseconds) / 1000
            self.values = values
        }

        /// Where an interval begins.
        func start(_ index: Int) -> Double { begins + Double(index) * intervalMilliseconds }

        /// The intervals that lie between two instants whole.
        func values(from low: Double, to high: Double) -> [UInt64] {
            values.indices.filter { start($0) >= low && start($0 + 1) <= high }.map { values[$0] }
        }

        /// The mean of an interval between two instants; nil when there is none.
        func mean(from low: Double, to high: Double) -> Double? {
            let values = values(from: low, to: high)
            guard !values.isEmpty else { return nil }
            return values.reduce(0) { $0 + Double($1) } / Double(values.count)
        }
    }

    /// At the source, up to the pause.
    let before: Course?
    /// At the destination, from the first run on.
    let after: Course?
    /// The last page, in milliseconds.
    let lastPage: Double?

    /// What "before" is the mean of: the last second before the pause.
    static let baselineMilliseconds = 1000.0
    /// With less of it there is no telling.
    private static let leastMilliseconds = 100.0

    /// Nil when nobody watched the guest.
    init?(_ migration: Migration) {
        guard let clock = PageClock(migration) else { return nil }
        before = migration.source?.progress.flatMap { series in
            Course(
                begins: clock.millisecondsAtSource(series.began),
                intervalMicroseconds: series.intervalMicroseconds,
                series.iterations
            )
        }
        after = migration.destination?.progress.flatMap { series in
            Course(
                begins: clock.milliseconds(series.began),
                intervalMicroseconds: series.intervalMicroseconds,
                series.iterations
            )
        }
        lastPage = migration.destination?.timeline.lastPage.map(clock.milliseconds)
        if before == nil && after == nil { return nil }
    }

    /// Iterations in an interval of the last second before the pause, on average; nil when the
    /// guest had only just begun.
    var baseline: Double? {
        guard let before, let first = before.values.firstIndex(where: { $0 > 0 }) else {
            return nil
        }
        let start = max(-Self.baselineMilliseconds, before.start(first))
        guard start <= -Self.leastMilliseconds else { return nil }
        return before.mean(from: start, to: 0)
    }

    /// The same from the first run at the destination to the last page.
    var during: Double? {
        guard let after, let lastPage else { return nil }
        return after.mean(from: after.begins, to: lastPage)
    }

    /// The same after the last page.
    var afterwards: Double? {
        guard let after, let lastPage else { return nil }
        return after.mean(from: lastPage, to: .infinity)
    }

    /// How much of the guest's time went by without work, from the pause to the last page.
    ///
    /// By the pace of the second before; negative when the guest was faster than that.
    var lostMilliseconds: Double? {
        guard let baseline, baseline > 0, let after, let lastPage else { return nil }
        let values = after.values(from: after.begins, to: lastPage)
        let done = values.reduce(0) { $0 + Double($1) }
        let end = after.start(values.count)
        return end - done / baseline * after.intervalMilliseconds
    }
}
