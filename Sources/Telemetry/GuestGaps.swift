// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// For how long the guest stood still, as seen by those who do not ask the migration.
package struct GuestGaps: Codable, Equatable, Sendable {
    /// Largest time between two heartbeats of a vCPU over switchover and postcopy, on the host's
    /// clock; absent when the two sides' clocks are not comparable.
    package var outsideMicroseconds: UInt64?
    /// When that gap began, on CLOCK_MONOTONIC of the host that both sides share.
    package var outsideBegan: MonotonicTime?
    /// The same at the source before the pause: what this guest and host do without a migration.
    package var outsideBeforeMicroseconds: UInt64?
    /// The same at the destination after the last page.
    package var outsideAfterMicroseconds: UInt64?
    /// Largest time between two iterations by the guest's own TSC, which is carried over the
    /// switchover and so does not show all of it.
    package var guestMicroseconds: UInt64?

    /// No gap is known yet.
    package init() {}

    private enum CodingKeys: String, CodingKey {
        case outsideMicroseconds = "outside_gap_us"
        case outsideBegan = "outside_gap_began_ns"
        case outsideBeforeMicroseconds = "outside_gap_before_us"
        case outsideAfterMicroseconds = "outside_gap_after_us"
        case guestMicroseconds = "guest_gap_us"
    }
}
