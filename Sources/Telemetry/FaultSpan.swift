// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// What a fault was, and so what was done about it.
package enum FaultKind: String, CaseIterable, Codable, Sendable {
    /// A memory-fault exit on an absent page: the vCPU's thread fetched it.
    case exit
    /// A memory-fault exit on a page that was on its way to another thread.
    case exitAwaited = "exit_awaited"
    /// A memory-fault exit on an installed page, which the kernel had unmapped since.
    case exitOnInstalled = "exit_on_installed"
    /// Userfaultfd events on absent pages, of vCPUs and of others.
    case userfault
}

/// One fault from its beginning to its end, on the destination's CLOCK_MONOTONIC.
///
/// A stage that a fault of its kind does not have, or that nobody saw, is nil.
package struct FaultSpan: Equatable, Sendable {
    /// What it was.
    package var kind: FaultKind
    /// KVM_RUN returned, or the event was read.
    package let seen: MonotonicTime
    /// The request had been handed to the lane.
    package var sent: MonotonicTime?
    /// The source had made the answer and was about to send it, on its own CLOCK_MONOTONIC.
    package var served: MonotonicTime?
    /// The answer had been received whole.
    package var received: MonotonicTime?
    /// The page was present and published.
    package var installed: MonotonicTime?
    /// The vCPU was about to enter KVM_RUN again; of a userfault, the same as `installed`, which
    /// wakes whoever slept.
    package var ended: MonotonicTime

    /// - Parameters:
    ///   - kind: What it was.
    ///   - seen: When it began; until it is said otherwise, it also ended then.
    package init(_ kind: FaultKind, seen: MonotonicTime) {
        self.kind = kind
        self.seen = seen
        ended = seen
    }

    /// From its beginning to its end.
    package var nanoseconds: UInt64 { ended.nanoseconds(since: seen) }
}
