// SPDX-License-Identifier: Apache-2.0

/// What of guest memory travelled before the guest ran at the destination, and how.
package struct PrecopyAccount: Codable, Equatable, Sendable {
    /// How the source knew what its guest wrote: `ring` or `log`; absent at the destination.
    package var tracking: String?
    /// Pages of guest memory that came in rounds and stayed; `requested`, `prefetched` and
    /// `streamed` of ``PageCounts`` are the others.
    package var pages: UInt64
    /// Pages that came in rounds and were dropped, since the guest had written them again.
    package var discardedPages: UInt64
    /// The rounds, in order.
    package var rounds: [Round]

    /// One round over the pages that were to be sent.
    package struct Round: Codable, Equatable, Sendable {
        /// Pages sent.
        package var pages: UInt64
        /// Of these, pages of zeros.
        package var zeroPages: UInt64
        /// Bytes on the page lanes, headers included.
        package var wireBytes: UInt64
        /// From its beginning until the destination had all of it.
        package var durationMicroseconds: UInt64
        /// Whether the guest stood still.
        package var isPaused: Bool

        /// - Parameters:
        ///   - pages: Pages sent.
        ///   - zeroPages: Of these, pages of zeros.
        ///   - wireBytes: Bytes on the page lanes.
        ///   - durationMicroseconds: How long it took.
        ///   - isPaused: Whether the guest stood still.
        package init(
            pages: UInt64,
            zeroPages: UInt64,
            wireBytes: UInt64,
            durationMicroseconds: UInt64,
            isPaused: Bool
        ) {
            self.pages = pages
            self.zeroPages = zeroPages
            self.wireBytes = wireBytes
            self.durationMicroseconds = durationMicroseconds
            self.isPaused = isPaused
        }

        private enum CodingKeys: String, CodingKey {
            case pages
            case zeroPages = "zero_pages"
            case wireBytes = "wire_bytes"
            case durationMicroseconds = "duration_us"
            case isPaused = "paused"
        }
    }

    /// - Parameters:
    ///   - tracking: How the source knew what its guest wrote.
    ///   - pages: Pages that came in rounds and stayed.
    ///   - discardedPages: Pages that came in rounds and were dropped.
    ///   - rounds: The rounds, in order.
    package init(tracking: String?, pages: UInt64, discardedPages: UInt64, rounds: [Round]) {
        self.tracking = tracking
        self.pages = pages
        self.discardedPages = discardedPages
        self.rounds = rounds
    }

    private enum CodingKeys: String, CodingKey {
        case tracking
        case pages
        case discardedPages = "discarded_pages"
        case rounds
    }
}
