// SPDX-License-Identifier: Apache-2.0

internal import LinuxSystem
internal import Telemetry

/// Milliseconds since the guest's pause, or, without that, since its first run at the destination.
struct PageClock {
    /// What the zero is called.
    let origin: String
    private let zero: MonotonicTime
    /// The destination's zero where it has a clock of its own.
    private let destinationZero: MonotonicTime

    /// Nil when neither is known.
    init?(_ migration: Migration) {
        let pause = migration.instant(\.pause)
        let run = migration.instant(\.run)
        guard let zero = pause ?? run else { return nil }
        self.zero = zero
        origin = pause == nil ? "the first run at the destination" : "the pause"
        destinationZero = migration.isOneClock ? zero : run ?? zero
    }

    /// An instant on the destination's clock.
    func milliseconds(_ instant: MonotonicTime) -> Double {
        Self.milliseconds(instant, since: destinationZero)
    }

    /// An instant on the source's clock.
    func millisecondsAtSource(_ instant: MonotonicTime) -> Double {
        Self.milliseconds(instant, since: zero)
    }

    private static func milliseconds(_ instant: MonotonicTime, since zero: MonotonicTime) -> Double
    {
        instant >= zero
            ? Double(instant.nanoseconds - zero.nanoseconds) / 1e6
            : -Double(zero.nanoseconds - instant.nanoseconds) / 1e6
    }
}
