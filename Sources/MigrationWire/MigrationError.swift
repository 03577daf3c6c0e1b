// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// A failure on one lane.
package enum LaneError: Error, Equatable, CustomStringConvertible {
    /// The peer closed the lane, or the lane was shut down here.
    case closed(LaneName)
    /// A message did not come, or was not taken, in time.
    case timedOut(LaneName)
    /// The peer sent what the protocol does not allow; `offset` counts the bytes received on the
    /// lane before the offending message.
    case violation(LaneName, offset: UInt64, FrameDefect)
    /// The system refused a call.
    case system(LaneName, SystemError)

    /// The lane, what happened and where.
    package var description: String {
        switch self {
        case .closed(let lane): "\(lane): closed by the peer"
        case .timedOut(let lane): "\(lane): the peer did not answer in time"
        case .violation(let lane, let offset, let defect):
            "\(lane), offset \(offset): protocol violation: \(defect)"
        case .system(let lane, let error): "\(lane): \(error)"
        }
    }
}

/// Why a migration ended without success.
///
/// Which phase it ended in says what that means for the guest: see ``Phase``.
package enum MigrationError: Error, Equatable, CustomStringConvertible {
    /// A lane failed.
    case lane(LaneError)
    /// One side does not take part; the reason names both values where there are two.
    case refused(RefusalReason)
    /// The peer gave up, for the reason it says.
    case aborted(String)
    /// This host lacks something; the text names cause and remedy.
    case host(String)
    /// A system call failed.
    case system(SystemError)
    /// A machine could not be built, saved or restored.
    case machine(String)
    /// The digests of the two sides differ.
    case digest(source: PageDigest, destination: PageDigest)
    /// The guest ended by itself during the migration.
    case guestEnded(String)
    /// A person asked for the end.
    case stopped

    /// Whether the two sides disagree on the guest's memory.
    package var isDigestMismatch: Bool {
        if case .digest = self { true } else { false }
    }

    /// Whether the guest ended by itself.
    package var isGuestEnded: Bool {
        if case .guestEnded = self { true } else { false }
    }

    /// One line with the cause.
    package var description: String {
        switch self {
        case .lane(let error): error.description
        case .refused(let reason): "refused: \(reason)"
        case .aborted(let reason): "the peer gave up: \(reason)"
        case .host(let text): text
        case .system(let error): error.description
        case .machine(let text): text
        case .digest(let source, let destination):
            "memory differs: source digest \(source), destination digest \(destination)"
        case .guestEnded(let text): "the guest ended: \(text)"
        case .stopped: "stopped by a signal"
        }
    }
}
