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

    /// Its place among all kinds.
    var index: Int {
        switch self {
        case .exit: 0
        case .exitAwaited: 1
        case .exitOnInstalled: 2
        case .userfault: 3
        }
    }
}

/// One fault from its beginning to its end, on the destination's CLOCK_MONOTONIC.
///
/// A stage that a fault of its kind does not have, or that nobody saw, is nil. Eight words, since
/// it is written on the fault path.
package struct FaultSpan: Equatable, Sendable {
    /// What it was.
    package var kind: FaultKind
    /// KVM_RUN returned, or the event was read.
    package let seen: MonotonicTime
    /// The vCPU was about to enter KVM_RUN again; of a userfault, the same as `installed`, which
    /// wakes whoever slept.
    package var ended: MonotonicTime
    // Zero for nil: no instant is zero.
    private var sentNanoseconds: UInt64 = 0
    private var servedNanoseconds: UInt64 = 0
    private var receivedNanoseconds: UInt64 = 0
    private var installedNanoseconds: UInt64 = 0

    /// - Parameters:
    ///   - kind: What it was.
    ///   - seen: When it began; until it is said otherwise, it also ended then.
    package init(_ kind: FaultKind, seen: MonotonicTime) {
        self.kind = kind
        self.seen = seen
        ended = seen
    }

    /// The request had been handed to the lane.
    package var sent: MonotonicTime? {
        get { Self.instant(sentNanoseconds) }
        set { sentNanoseconds = newValue?.nanoseconds ?? 0 }
    }

    /// The source had made the answer and was about to send it, on its own CLOCK_MONOTONIC.
    package var served: MonotonicTime? {
        get { Self.instant(servedNanoseconds) }
        set { servedNanoseconds = newValue?.nanoseconds ?? 0 }
    }

    /// The answer had been received whole.
    package var received: MonotonicTime? {
        get { Self.instant(receivedNanoseconds) }
        set { receivedNanoseconds = newValue?.nanoseconds ?? 0 }
    }

    /// The page was present and published.
    package var installed: MonotonicTime? {
        get { Self.instant(installedNanoseconds) }
        set { installedNanoseconds = newValue?.nanoseconds ?? 0 }
    }

    /// From its beginning to its end.
    package var nanoseconds: UInt64 { ended.nanoseconds(since: seen) }

    private static func instant(_ nanoseconds: UInt64) -> MonotonicTime? {
        nanoseconds == 0 ? nil : MonotonicTime(nanoseconds: nanoseconds)
    }
}
