// SPDX-License-Identifier: Apache-2.0

/// What one vCPU of the built-in guest has counted itself.
package struct WalkerStatistics: Equatable, Sendable {
    /// Pages visited, each of them verified and, unless it stays zero, changed.
    package let iterations: UInt64
    /// Completed walks over the working set.
    package let passes: UInt64
    /// Longest time between two iterations by the guest's own TSC, in nanoseconds.
    package let largestGapNanoseconds: UInt64
    /// Times that the TSC had gone backwards; zero unless something is wrong with the clock.
    package let tscRegressions: UInt64
}

extension Sequence<WalkerStatistics> {
    /// Pages visited by all vCPUs.
    ///
    /// Wraps: the counts lie in guest memory, which may have come from anybody.
    package var iterations: UInt64 { reduce(0) { $0 &+ $1.iterations } }
}
