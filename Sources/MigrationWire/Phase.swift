// SPDX-License-Identifier: Apache-2.0

/// Where a migration stands; the same for both roles.
package enum Phase: String, CaseIterable, Sendable, CustomStringConvertible {
    /// Handshake, and the destination gets ready. The guest runs at the source.
    case setup
    /// Memory travels in rounds while the guest runs at the source.
    case precopy
    /// The guest is paused; its state travels. Ends with the commit point.
    case switchover
    /// The guest runs at the destination; its memory follows.
    case postcopy
    /// Every page has arrived and both digests are equal.
    case completed
    /// Ended before the commit point: the guest goes on at the source.
    case cancelled
    /// Ended after the commit point: the guest is lost.
    case failed

    /// At the beginning of `postcopy` the guest settles: each vCPU fetches, page after page, what it
    /// needs to get anywhere, and whatever can wait leaves the processors of both sides to it.
    package static let settling = Duration.milliseconds(250)

    /// The phase's name in output.
    package var description: String { rawValue }

    /// Whether the guest belongs to the destination for good.
    package var isCommitted: Bool {
        switch self {
        case .setup, .precopy, .switchover, .cancelled: false
        case .postcopy, .completed, .failed: true
        }
    }

    /// Whether one phase may follow another.
    ///
    /// The only table of transitions there is.
    package func canBecome(_ next: Phase) -> Bool {
        switch (self, next) {
        case (.setup, .precopy), (.setup, .switchover), (.setup, .cancelled): true
        case (.precopy, .switchover), (.precopy, .cancelled): true
        case (.switchover, .postcopy), (.switchover, .cancelled): true
        case (.postcopy, .completed), (.postcopy, .failed): true
        case (.setup, _), (.precopy, _), (.switchover, _), (.postcopy, _): false
        case (.completed, _), (.cancelled, _), (.failed, _): false
        }
    }
}

extension Phase {
    /// Goes on to another phase.
    ///
    /// The only way a phase changes.
    package mutating func become(_ next: Phase) {
        precondition(canBecome(next), "phase \(self) cannot become \(next)")
        self = next
    }
}
