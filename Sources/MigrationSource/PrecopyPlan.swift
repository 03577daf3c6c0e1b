// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import MigrationWire

/// What of a guest's memory is to travel before the guest runs at the destination.
///
/// Postcopy is a plan of no rounds over all of it; precopy is one that leaves nothing behind.
package struct PrecopyPlan: Equatable, Sendable {
    /// When the pages that are dirty at the pause travel.
    package enum Remainder: Sendable {
        /// In the pause, as one more round.
        case inPause
        /// In postcopy.
        case inPostcopy
    }

    /// Most rounds while the guest runs, 0 to 64.
    package var mostRounds = 0
    /// Whether, where there are no rounds, the guest's kernel is sent in one.
    package var isKernelAhead = false
    /// What may remain dirty at the pause: as much as can be sent in this time.
    package var downtimeLimit = Duration.milliseconds(300)
    /// When the remainder travels.
    package var remainder = Remainder.inPostcopy

    /// No rounds.
    package init() {}

    /// What follows a round.
    package enum Decision: Equatable, Sendable {
        /// One more round.
        case anotherRound
        /// The pause: what is dirty can be sent within the limit on downtime.
        case converged
        /// The pause, although more is dirty than that.
        case roundsSpent
    }

    /// Decides what follows a round.
    ///
    /// - Parameters:
    ///   - rounds: All rounds so far, not empty.
    ///   - dirtyPages: Pages that have been written since they were sent.
    /// - Returns: What to do.
    package func decide(after rounds: [PrecopyRound], dirtyPages: Int) -> Decision {
        if Self.time(toSend: dirtyPages, after: rounds) <= downtimeLimit { return .converged }
        return rounds.count < mostRounds ? .anotherRound : .roundsSpent
    }

    /// How long it takes to send pages, by the latest round that says something about it.
    ///
    /// A round of few pages measures the way there and back, and not how much gets through.
    package static func time(toSend pages: Int, after rounds: [PrecopyRound]) -> Duration {
        guard pages > 0 else { return .zero }
        let telling = rounds.last { $0.pages >= tellingPages } ?? rounds.max { $0.pages < $1.pages }
        guard let telling, telling.pages > 0 else { return .zero }
        // Zero pages cost next to nothing, and the pages of a guest that works are none.
        let perPage = telling.duration / max(1, telling.pages - telling.zeroPages)
        return perPage * pages
    }

    /// How long a guest that stands still is to wait for pages to be sent, at the most.
    ///
    /// Several times as long as they should take. What former rounds took is not believed without
    /// bounds: a destination may have taken its time.
    package static func patience(toSend pages: Int, after rounds: [PrecopyRound]) -> Duration {
        let atLeastRate =
            Duration.seconds(pages * GuestPage.byteCount)
            / Int(WireLimits.leastPrecopyBytesPerSecond)
        return min(time(toSend: pages, after: rounds) * 4, atLeastRate)
    }

    /// Pages from which on a round tells the rate of the lanes: 4 MiB.
    private static let tellingPages = 1024
}

/// One precopy round, as it was.
package struct PrecopyRound: Equatable, Sendable {
    /// Pages sent.
    package let pages: Int
    /// Of these, pages of zeros.
    package let zeroPages: Int
    /// Bytes on the page lanes, headers included.
    package let wireBytes: Int
    /// From its beginning until the destination had all of it.
    package let duration: Duration
    /// Whether the guest stood still.
    package let isPaused: Bool

    /// - Parameters:
    ///   - pages: Pages sent.
    ///   - zeroPages: Of these, pages of zeros.
    ///   - wireBytes: Bytes on the page lanes.
    ///   - duration: How long it took.
    ///   - isPaused: Whether the guest stood still.
    package init(
        pages: Int,
        zeroPages: Int,
        wireBytes: Int,
        duration: Duration,
        isPaused: Bool
    ) {
        self.pages = pages
        self.zeroPages = zeroPages
        self.wireBytes = wireBytes
        self.duration = duration
        self.isPaused = isPaused
    }
}
