// SPDX-License-Identifier: Apache-2.0

/// What a destination wants its page lanes carried by.
package enum TransportChoice: String, CaseIterable, Sendable {
    /// Rings where the connection can hand memory over and the source takes them.
    case auto
    /// The connection itself.
    case socket
    /// Rings, or no migration.
    case ring
}
