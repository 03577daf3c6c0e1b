// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import LinuxSystem

/// Keeps a file of ``MigrationMetrics``, as node_exporter's textfile collector reads it.
///
/// Written anew with every phase, at the end, and at most once a second meanwhile; by renaming, so
/// that no reader sees half of it. For one thread.
package final class MetricsObserver: MigrationObserver {
    private let path: String
    private let role: MigrationRole
    private let phases: [String]
    private let complain: (String) -> Void
    private var metrics: MigrationMetrics
    private var lastWrite: MonotonicTime?
    private var hasComplained = false

    /// - Parameters:
    ///   - path: The file; a regular one, or a free name.
    ///   - role: Which side tells.
    ///   - phases: All phases there are, the first one first.
    ///   - complain: Is told once when the file cannot be written, which ends no migration.
    package init(
        _ path: String,
        as role: MigrationRole,
        phases: [String],
        complain: @escaping (String) -> Void
    ) {
        self.path = path
        self.role = role
        self.phases = phases
        self.complain = complain
        metrics = MigrationMetrics(role, phases: phases, start: Self.now)
    }

    package func connected(to peer: String?, guest: [UInt8]) {
        metrics = MigrationMetrics(role, phases: phases, start: Self.now)
        metrics.guest = guestName(guest)
        write()
    }

    package func phaseChanged(from old: String, to new: String) {
        metrics.phase = new
        metrics.phaseStart = Self.now
        write()
    }

    package func progressed(_ progress: TransferProgress) {
        metrics.progress = progress
        let now = MonotonicTime.now
        if let last = lastWrite, now.nanoseconds(since: last) < 1_000_000_000 { return }
        write()
    }

    package func noted(_: String) {}

    package func ended(_ ending: MigrationEnding) {
        metrics.ending = ending
        write()
    }

    private static var now: Double { Date.now.timeIntervalSince1970 }

    private func write() {
        lastWrite = .now
        do {
            try OutputFile.replace(path, with: Data(metrics.text.utf8))
        } catch {
            guard !hasComplained else { return }
            hasComplained = true
            complain("metrics \(path): \(error)")
        }
    }
}
