// SPDX-License-Identifier: Apache-2.0

/// What of a guest's memory travels before the guest runs at the destination.
///
/// One way of working, with two settings: how many rounds there are while the guest runs at the
/// source, and when that travels which they leave.
package enum MigrationMode: String, CaseIterable, Sendable {
    /// The guest's kernel, of small pages, where the source finds it; else nothing.
    case postcopy
    /// Rounds of precopy; what they leave comes in postcopy.
    case hybrid
    /// Rounds of precopy; what they leave comes in the pause.
    case precopy
}
