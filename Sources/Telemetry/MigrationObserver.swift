// SPDX-License-Identifier: Apache-2.0

/// Who is told how a migration goes.
///
/// Called on the thread that steers the migration, never between the pause and the first KVM_RUN.
package protocol MigrationObserver: AnyObject {
    /// One phase has followed another.
    func phaseChanged(from old: String, to new: String)
    /// The transfer has got so far; called a few times a second.
    func progressed(_ progress: TransferProgress)
    /// Something a person should know.
    func noted(_ text: String)
}
