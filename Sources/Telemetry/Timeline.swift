// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// When the steps of a migration happened, each on CLOCK_MONOTONIC of the host it happened on.
///
/// The source's steps are `pauseRequested` to `stateSent`, the destination's all others. What did
/// not happen, or is not known to the reporting side, is absent.
package struct Timeline: Codable, Equatable, Sendable {
    /// The source was asked to stop its vCPUs.
    package var pauseRequested: MonotonicTime?
    /// The last source vCPU had left KVM_RUN: the blackout begins.
    package var pause: MonotonicTime?
    /// The state of the vCPUs and the machine was read from KVM.
    package var stateSaved: MonotonicTime?
    /// The state was handed to the control lane.
    package var stateSent: MonotonicTime?
    /// The destination had all of the state.
    package var stateReceived: MonotonicTime?
    /// The state was loaded into the destination's KVM.
    package var stateLoaded: MonotonicTime?
    /// The first KVM_RUN at the destination: the blackout ends.
    package var run: MonotonicTime?
    /// The first fault was taken on.
    package var firstFault: MonotonicTime?
    /// The last page was installed.
    package var lastPage: MonotonicTime?
    /// Both sides agreed that the migration is over.
    package var done: MonotonicTime?

    /// A timeline on which nothing has happened.
    package init() {}

    /// Stamps a step, for example `mark(\.pause)`.
    ///
    /// - Parameters:
    ///   - step: The step.
    ///   - instant: When it happened; now, unless said otherwise.
    package mutating func mark(
        _ step: WritableKeyPath<Timeline, MonotonicTime?>,
        at instant: MonotonicTime = .now
    ) {
        self[keyPath: step] = instant
    }

    /// Microseconds between two steps of one clock, rounded.
    ///
    /// - Parameters:
    ///   - start: The earlier step.
    ///   - end: The later step.
    /// - Returns: The time between them; zero when `end` is before `start`, nil when one is absent.
    package func microseconds(
        from start: KeyPath<Timeline, MonotonicTime?>,
        to end: KeyPath<Timeline, MonotonicTime?>
    ) -> UInt64? {
        guard let start = self[keyPath: start], let end = self[keyPath: end] else { return nil }
        // A peer's instants may be any numbers: nothing here may overflow.
        let (whole, rest) = end.nanoseconds(since: start).quotientAndRemainder(dividingBy: 1000)
        return rest < 500 ? whole : whole + 1
    }

    /// Microseconds that all of a migration took; nil when it did not come to its end.
    ///
    /// - Parameter precopyBegan: When the first round of precopy began; nil without rounds, and then
    ///   the migration begins with the request to pause.
    /// - Returns: The time.
    package func total(from precopyBegan: MonotonicTime?) -> UInt64? {
        var whole = self
        whole.pauseRequested = precopyBegan ?? pauseRequested
        return whole.microseconds(from: \.pauseRequested, to: \.done)
    }

    private enum CodingKeys: String, CodingKey {
        case pauseRequested = "pause_requested_ns"
        case pause = "pause_ns"
        case stateSaved = "state_saved_ns"
        case stateSent = "state_sent_ns"
        case stateReceived = "state_received_ns"
        case stateLoaded = "state_loaded_ns"
        case run = "run_ns"
        case firstFault = "first_fault_ns"
        case lastPage = "last_page_ns"
        case done = "done_ns"
    }
}

/// In a report an instant is its number of nanoseconds.
extension MonotonicTime: Codable {
    package init(from decoder: any Decoder) throws {
        self.init(nanoseconds: try decoder.singleValueContainer().decode(UInt64.self))
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(nanoseconds)
    }
}
