// SPDX-License-Identifier: Apache-2.0

internal import LinuxSystem
internal import Telemetry

/// One migration, as one or both of its sides reported it.
struct Migration: Sendable {
    /// The reports and where they are.
    let files: [(path: String, report: MigrationReport)]
    /// The source's report.
    let source: MigrationReport?
    /// The destination's report.
    let destination: MigrationReport?

    /// - Parameter files: One or two, of different roles.
    init(_ files: [(path: String, report: MigrationReport)]) {
        self.files = files
        source = files.first { $0.report.role == .source }?.report
        destination = files.first { $0.report.role == .destination }?.report
    }

    /// Puts the two sides' reports of each migration together.
    ///
    /// - Parameter reports: In any order; those that name no migration stand alone.
    /// - Returns: Migrations in the order of their first reports.
    /// - Throws: ``ReportPageError/twice(_:_:)``.
    static func pairs(
        of reports: [(path: String, report: MigrationReport)]
    ) throws(ReportPageError) -> [Migration] {
        var groups: [[(path: String, report: MigrationReport)]] = []
        for (path, report) in reports {
            let group = groups.firstIndex { group in
                report.sessionIdentity != nil
                    && group[0].report.sessionIdentity == report.sessionIdentity
            }
            guard let group else {
                groups.append([(path, report)])
                continue
            }
            if let other = groups[group].first(where: { $0.report.role == report.role }) {
                throw .twice(other.path, path)
            }
            groups[group].append((path, report))
        }
        return groups.map(Migration.init)
    }

    /// The report that knows more: the destination's, if it is there.
    var report: MigrationReport { destination ?? files[0].report }

    /// What the destination says, or else the source.
    func either<Value>(_ value: KeyPath<MigrationReport, Value?>) -> Value? {
        destination?[keyPath: value] ?? source?[keyPath: value]
    }

    /// What the destination says, or else the source, of something within a part that is always
    /// there.
    func gap(_ value: KeyPath<GuestGaps, UInt64?>) -> UInt64? {
        destination?.gaps[keyPath: value] ?? source?.gaps[keyPath: value]
    }

    /// A step as the destination knows it, or else the source.
    func instant(_ step: KeyPath<Timeline, MonotonicTime?>) -> MonotonicTime? {
        destination?.timeline[keyPath: step] ?? source?.timeline[keyPath: step]
    }

    /// Whether both sides' instants are of one clock.
    var isOneClock: Bool {
        files.contains { $0.report.switchover?.clocksComparable == true }
    }

    /// A part of the switchover.
    func switchover(_ part: KeyPath<SwitchoverTimes, UInt64?>) -> UInt64? {
        destination?.switchover?[keyPath: part] ?? source?.switchover?[keyPath: part]
    }

    /// What carried the pages: `ring`, `unix` or `tcp`.
    var carrier: String {
        let transport = report.transport
        if transport.hasSuffix(", ring") { return "ring" }
        return String(transport.prefix { $0 != ":" })
    }

    /// How faults reached the destination.
    var faultPath: String? { destination?.faultPath }

    /// What migrations have to share to be alike.
    var group: String { "\(faultPath ?? "path unknown"), \(carrier)" }

    /// Pages by how they came; the side that installed them knows.
    var pages: PageCounts { report.pages }

    /// Bytes by what became of them; each side knows when it came to the end.
    var bytes: ByteCounts {
        let known = files.map(\.report.bytes)
        return known.first { $0.raw > 0 } ?? report.bytes
    }

    /// For how long the guest stood still, as far as is known, in microseconds.
    ///
    /// That is the gap seen from outside, and never less than the downtime.
    var suffered: UInt64? {
        let known = [gap(\.outsideMicroseconds), switchover(\.downtimeMicroseconds)]
        return known.compactMap(\.self).max()
    }
}
