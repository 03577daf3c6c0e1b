// SPDX-License-Identifier: Apache-2.0

/// Who is told how a migration goes.
///
/// Called on the thread that steers the migration, never between the pause and the first KVM_RUN.
package protocol MigrationObserver: AnyObject {
    /// The two sides have met, and a migration begins.
    ///
    /// - Parameters:
    ///   - peer: Where the other side is; nil where that is not known.
    ///   - guest: The guest's identity, 16 bytes, the same at both sides and in all its migrations.
    func connected(to peer: String?, guest: [UInt8])
    /// One phase has followed another.
    func phaseChanged(from old: String, to new: String)
    /// The transfer has got so far; called a few times a second.
    func progressed(_ progress: TransferProgress)
    /// Something a person should know.
    func noted(_ text: String)
    /// The migration is over; the last call for it.
    func ended(_ ending: MigrationEnding)
}

extension MigrationObserver {
    package func connected(to peer: String?, guest: [UInt8]) {}
    package func ended(_ ending: MigrationEnding) {}
}

/// A guest's identity as output has it: two hexadecimal digits for each byte.
func guestName(_ identity: [UInt8]) -> String {
    identity.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
