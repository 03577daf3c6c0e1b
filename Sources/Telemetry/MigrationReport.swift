// SPDX-License-Identifier: Apache-2.0

internal import LinuxSystem

/// All that one side can tell about a migration, as it is written to a report file.
///
/// One JSON object of small objects. Names say their unit (`_ns`, `_us`, `_bytes`) and are QEMU's
/// where QEMU has one. What was not measured is absent. Fields may be added within a format
/// version; a field that goes, or changes its meaning, makes a new version.
package struct MigrationReport: Codable, Equatable, Sendable {
    /// The format that this code writes.
    package static let currentFormatVersion = 2

    /// The format of this report.
    package var formatVersion = MigrationReport.currentFormatVersion
    /// Which side reports.
    package var role: MigrationRole
    /// The guest.
    package var machine: MigratedMachine
    /// How faults reach the destination; absent at the source, which is not told.
    package var faultPath: String?
    /// Address of the lanes, for example `unix:/run/apus.socket`.
    package var transport: String
    /// Names this migration in both sides' reports: the guest's identity and the instant of its
    /// pause; absent when it never came to that.
    ///
    /// Never the session key, which is a secret.
    package var sessionIdentity: String?
    /// How it ended.
    package var outcome: MigrationOutcome
    /// Why it ended so, for a person; absent after a completed migration.
    package var error: String?
    /// When the steps happened.
    package var timeline = Timeline()
    /// The downtime and its parts.
    package var switchover: SwitchoverTimes?
    /// For how long the guest stood still, seen by others.
    package var gaps = GuestGaps()
    /// Length of the postcopy phase: from `run` to `last_page`.
    package var postcopyMicroseconds: UInt64?
    /// The whole migration on the reporting side's clock (QEMU's `total-time`).
    package var totalMicroseconds: UInt64?
    /// Pages by how they came.
    package var pages = PageCounts()
    /// What travelled before the guest ran at the destination; absent where nothing was to.
    package var precopy: PrecopyAccount?
    /// Bytes before and on the wire.
    package var bytes = ByteCounts()
    /// Faults; the destination's report has them.
    package var faults: FaultCounts?
    /// Digests of guest memory.
    package var digest = DigestComparison()
    /// Cost in the reporting process.
    package var resources = ResourceUse()
    /// The built-in guest's own account; absent for other guests.
    package var walker: WalkerProgress?
    /// What the built-in guest got done over time on the reporting side, as far as it is known
    /// when the report is written: the source's ends with the pause, the destination's begins
    /// with `run`.
    package var progress: ProgressSeries?

    /// A report of which the results are still to be filled in.
    ///
    /// - Parameters:
    ///   - role: Which side reports.
    ///   - machine: The guest.
    ///   - faultPath: How faults reach the destination; nil at the source.
    ///   - transport: Address of the lanes.
    ///   - outcome: How the migration ended.
    package init(
        role: MigrationRole,
        machine: MigratedMachine,
        faultPath: String?,
        transport: String,
        outcome: MigrationOutcome
    ) {
        self.role = role
        self.machine = machine
        self.faultPath = faultPath
        self.transport = transport
        self.outcome = outcome
    }

    /// Takes over a timeline and all that follows from it: the downtime, its parts, `postcopy` and
    /// the name of the migration.
    ///
    /// - Parameters:
    ///   - timeline: Both sides' steps.
    ///   - clocks: Whether the two sides' clocks can be compared.
    ///   - guest: The guest's identity.
    package mutating func apply(_ timeline: Timeline, clocks: ClockRelation, guest: [UInt8]) {
        self.timeline = timeline
        sessionIdentity = timeline.pause.map { "\(guestName(guest))-\($0.nanoseconds)" }
        switchover = SwitchoverTimes(timeline, clocks: clocks)
        postcopyMicroseconds = timeline.microseconds(from: \.run, to: \.lastPage)
    }

    private enum CodingKeys: String, CodingKey {
        case formatVersion = "format_version"
        case role
        case machine
        case faultPath = "fault_path"
        case transport
        case sessionIdentity = "session_identity"
        case outcome
        case error
        case timeline
        case switchover
        case gaps
        case postcopyMicroseconds = "postcopy_us"
        case totalMicroseconds = "total_us"
        case pages
        case precopy
        case bytes
        case faults
        case digest
        case resources
        case walker
        case progress = "guest_progress"
    }
}
