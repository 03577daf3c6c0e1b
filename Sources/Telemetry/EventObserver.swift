// SPDX-License-Identifier: Apache-2.0

/// Writes what happens to a migration into an ``EventStream``.
///
/// Progress is no event. For one thread.
package final class EventObserver: MigrationObserver {
    private let stream: EventStream
    private let role: MigrationRole
    private var guest: String?

    /// - Parameters:
    ///   - stream: Where the events go; observers of several migrations may share it.
    ///   - role: Which side tells.
    package init(_ stream: EventStream, as role: MigrationRole) {
        self.stream = stream
        self.role = role
    }

    package func connected(to peer: String?, guest: [UInt8]) {
        self.guest = guestName(guest)
        write(.connected) { $0.peer = peer }
    }

    package func phaseChanged(from old: String, to new: String) {
        write(.phase) {
            $0.from = old
            $0.to = new
        }
    }

    package func progressed(_: TransferProgress) {}

    package func noted(_ text: String) {
        write(.note) { $0.text = text }
    }

    package func ended(_ ending: MigrationEnding) {
        write(.outcome) {
            $0.outcome = ending.outcome
            $0.error = ending.error
            $0.session = ending.report?.sessionIdentity
            $0.downtimeMicroseconds = ending.report?.switchover?.downtimeMicroseconds
            $0.outsideGapMicroseconds = ending.report?.gaps.outsideMicroseconds
            $0.totalMicroseconds = ending.report?.totalMicroseconds
        }
    }

    private func write(_ kind: MigrationEvent.Kind, _ fill: (inout MigrationEvent) -> Void) {
        stream.write(kind, role, guest: guest, fill)
    }
}
