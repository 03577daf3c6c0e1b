// SPDX-License-Identifier: Apache-2.0

/// Several observers that are told the same, in their order.
package final class ObserverGroup: MigrationObserver {
    private let members: [any MigrationObserver]

    /// - Parameter members: Who is told.
    package init(_ members: [any MigrationObserver]) {
        self.members = members
    }

    package func connected(to peer: String?, guest: [UInt8]) {
        for member in members { member.connected(to: peer, guest: guest) }
    }

    package func phaseChanged(from old: String, to new: String) {
        for member in members { member.phaseChanged(from: old, to: new) }
    }

    package func progressed(_ progress: TransferProgress) {
        for member in members { member.progressed(progress) }
    }

    package func noted(_ text: String) {
        for member in members { member.noted(text) }
    }

    package func ended(_ ending: MigrationEnding) {
        for member in members { member.ended(ending) }
    }
}
