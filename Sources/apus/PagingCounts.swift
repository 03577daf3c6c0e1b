// SPDX-License-Identifier: Apache-2.0

/// What one thread did, or all of them.
struct PagingCounts {
    /// Pages made present.
    var installs = 0
    /// Memory-fault exits.
    var exits = 0
    /// Of these, on pages that were present already.
    var exitsOnPresent = 0
    /// Of these, outside the memory that is paged in.
    var exitsElsewhere = 0
    /// Touches that came through userfaultfd.
    var userfaults = 0
    /// Of these, of pages that were present already.
    var userfaultsOnPresent = 0
    /// Where the time of exits goes, if anybody wants to know.
    var clock: PageCostClock?

    static func += (left: inout PagingCounts, right: PagingCounts) {
        left.installs += right.installs
        left.exits += right.exits
        left.exitsOnPresent += right.exitsOnPresent
        left.exitsElsewhere += right.exitsElsewhere
        left.userfaults += right.userfaults
        left.userfaultsOnPresent += right.userfaultsOnPresent
        if let more = right.clock {
            if left.clock == nil { left.clock = more } else { left.clock? += more }
        }
    }
}
