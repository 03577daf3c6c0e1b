// SPDX-License-Identifier: Apache-2.0

package import Foundation
package import LinuxSystem

/// One line of an event stream: something that happened to a migration.
///
/// One JSON object. What does not apply to a kind of event is absent. Fields and kinds may be added
/// within a format version.
package struct MigrationEvent: Codable, Equatable, Sendable {
    /// The format that this code writes.
    package static let currentFormatVersion = 1

    /// What happened.
    package enum Kind: String, Codable, Sendable {
        /// The two sides have met: `guest`, and `peer` where it is known.
        case connected
        /// One phase has followed another: `from` and `to`.
        case phase
        /// Something a person should know: `text`.
        case note
        /// The migration is over, the last event of it: `outcome`, `error` unless it completed,
        /// `dropped`, and what has been measured.
        case outcome
    }

    /// The format of this event.
    package var formatVersion = MigrationEvent.currentFormatVersion
    /// Counts the events of a process, from 1: a gap means lost lines.
    package var sequence: UInt64
    /// What happened.
    package var event: Kind
    /// When, on the wall clock: ISO 8601, UTC, milliseconds.
    package var time: String
    /// When, on CLOCK_MONOTONIC of this host, as in reports.
    package var monotonic: MonotonicTime
    /// Which side tells.
    package var role: MigrationRole
    /// The guest's identity, 32 hexadecimal digits; absent until the two sides have met.
    package var guest: String?

    /// Where the other side is.
    package var peer: String?
    /// The phase before.
    package var from: String?
    /// The phase now.
    package var to: String?
    /// For a person; cut after 512 bytes.
    package var text: String?
    /// How it ended.
    package var outcome: MigrationOutcome?
    /// Why, for a person; cut after 512 bytes.
    package var error: String?
    /// Names the migration in both sides' reports.
    package var session: String?
    /// As in the report.
    package var downtimeMicroseconds: UInt64?
    /// As in the report.
    package var outsideGapMicroseconds: UInt64?
    /// As in the report.
    package var totalMicroseconds: UInt64?
    /// Events that found no room, or no reader.
    package var dropped: Int?

    /// An event of this very moment, of which what belongs to its kind is still to be filled in.
    package init(_ event: Kind, sequence: UInt64, role: MigrationRole, guest: String?) {
        self.event = event
        self.sequence = sequence
        self.role = role
        self.guest = guest
        monotonic = .now
        time = Date.now.ISO8601Format(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }

    /// One line of JSON, without the newline; less than ``LineOutput/mostBytes``.
    package var line: Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var short = self
        short.text = text.map(Self.cut)
        short.error = error.map(Self.cut)
        // Strings and whole numbers: nothing that could fail to be encoded.
        return (try? encoder.encode(short)) ?? Data()
    }

    /// In JSON a character may take six times its bytes, and a line has to fit into a pipe.
    private static func cut(_ text: String) -> String {
        text.utf8.count <= 512 ? text : String(decoding: text.utf8.prefix(508), as: UTF8.self) + "…"
    }

    private enum CodingKeys: String, CodingKey {
        case formatVersion = "format_version"
        case sequence
        case event
        case time
        case monotonic = "monotonic_ns"
        case role
        case guest
        case peer
        case from
        case to
        case text
        case outcome
        case error
        case session
        case downtimeMicroseconds = "downtime_us"
        case outsideGapMicroseconds = "outside_gap_us"
        case totalMicroseconds = "total_us"
        case dropped
    }
}
