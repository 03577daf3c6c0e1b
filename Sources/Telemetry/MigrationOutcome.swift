// SPDX-License-Identifier: Apache-2.0

/// Which side of a migration wrote a report.
package enum MigrationRole: String, Codable, Sendable {
    /// The side the guest left.
    case source
    /// The side the guest went to.
    case destination
}

/// How a migration ended.
package enum MigrationOutcome: String, CaseIterable, Codable, Sendable {
    /// Every page arrived and the digests agree, where they were compared.
    case completed
    /// Stopped on request before the commit point: the guest goes on at the source.
    case cancelled
    /// Failed before the commit point: the guest goes on at the source.
    case failed
    /// Failed after the commit point: no side can run the guest any more.
    case guestLost = "guest_lost"
    /// Every page arrived, but memory is not what it was at the pause.
    case digestMismatch = "digest_mismatch"
}
