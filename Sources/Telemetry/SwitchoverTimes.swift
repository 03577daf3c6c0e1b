// SPDX-License-Identifier: Apache-2.0

/// Which clocks the two sides' instants are on.
package enum ClockRelation: Sendable {
    /// Both sides run in one boot of one host: their instants can be compared.
    case same
    /// Two hosts, or unknown: an interval from one side to the other means nothing.
    case unrelated
}

/// The downtime and what it was spent on, from the ``Timeline``.
///
/// `save`, `send`, `wire`, `load` and `start` follow each other without a gap and add up to the
/// downtime. An interval whose ends are on unrelated clocks is absent.
package struct SwitchoverTimes: Codable, Equatable, Sendable {
    /// Whether the two sides share one CLOCK_MONOTONIC, as told by their boot identity.
    package var clocksComparable: Bool
    /// From the last source KVM_RUN to the first destination KVM_RUN (QEMU's `downtime`, whole).
    package var downtimeMicroseconds: UInt64?
    /// From the request to stop the vCPUs to the last one's exit: before the downtime, not in it.
    package var quiesceMicroseconds: UInt64?
    /// Reading the state from the source's KVM.
    package var saveMicroseconds: UInt64?
    /// Encoding the state and handing it to the control lane.
    package var sendMicroseconds: UInt64?
    /// From the hand-over at the source to the last byte at the destination.
    package var wireMicroseconds: UInt64?
    /// Checking the state and loading it into the destination's KVM.
    package var loadMicroseconds: UInt64?
    /// From there to the first KVM_RUN: the agreement to commit, and waking the vCPU threads.
    package var startMicroseconds: UInt64?

    /// Takes the intervals from a timeline.
    ///
    /// - Parameters:
    ///   - timeline: Both sides' steps.
    ///   - clocks: Whether steps of one side can be compared with the other's.
    package init(_ timeline: Timeline, clocks: ClockRelation) {
        let isSame = clocks == .same
        clocksComparable = isSame
        downtimeMicroseconds = isSame ? timeline.microseconds(from: \.pause, to: \.run) : nil
        quiesceMicroseconds = timeline.microseconds(from: \.pauseRequested, to: \.pause)
        saveMicroseconds = timeline.microseconds(from: \.pause, to: \.stateSaved)
        sendMicroseconds = timeline.microseconds(from: \.stateSaved, to: \.stateSent)
        wireMicroseconds =
            isSame ? timeline.microseconds(from: \.stateSent, to: \.stateReceived) : nil
        loadMicroseconds = timeline.microseconds(from: \.stateReceived, to: \.stateLoaded)
        startMicroseconds = timeline.microseconds(from: \.stateLoaded, to: \.run)
    }

    private enum CodingKeys: String, CodingKey {
        case clocksComparable = "clocks_comparable"
        case downtimeMicroseconds = "downtime_us"
        case quiesceMicroseconds = "quiesce_us"
        case saveMicroseconds = "save_us"
        case sendMicroseconds = "send_us"
        case wireMicroseconds = "wire_us"
        case loadMicroseconds = "load_us"
        case startMicroseconds = "start_us"
    }
}
