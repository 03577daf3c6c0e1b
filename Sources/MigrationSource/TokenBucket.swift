// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// A cap on bytes per second, as a token bucket that may run into debt.
///
/// Whoever has sent pays afterwards, and then waits until the bucket is out of debt. The bucket
/// holds little, so that a pause earns no burst. A value without a clock of its own.
package struct TokenBucket: Sendable {
    /// What an idle bucket fills up to: this much time's worth of bytes.
    package static let depth = Duration.milliseconds(10)

    private let bytesPerSecond: UInt64
    /// When the bucket is, or was, neither full nor in debt.
    private var balancedAt: MonotonicTime

    /// A bucket that is balanced.
    ///
    /// - Parameters:
    ///   - bytesPerSecond: Above zero.
    ///   - now: The present instant.
    package init(bytesPerSecond: UInt64, at now: MonotonicTime) {
        precondition(bytesPerSecond > 0)
        self.bytesPerSecond = bytesPerSecond
        balancedAt = now
    }

    /// Pays for bytes that have been sent.
    ///
    /// - Parameters:
    ///   - byteCount: Not negative.
    ///   - now: The present instant.
    package mutating func pay(byteCount: Int, at now: MonotonicTime) {
        let depth = Self.depth.wholeNanoseconds
        let earliest = now.nanoseconds > depth ? now.nanoseconds - depth : 0
        // A frame has some 2^18 bytes: far from an overflow.
        let cost = UInt64(byteCount) * 1_000_000_000 / bytesPerSecond
        balancedAt = MonotonicTime(nanoseconds: max(balancedAt.nanoseconds, earliest) + cost)
    }

    /// How long to wait before more may be sent; nil for not at all.
    package func wait(at now: MonotonicTime) -> Duration? {
        guard balancedAt > now else { return nil }
        return .nanoseconds(Int64(balancedAt.nanoseconds(since: now)))
    }
}
