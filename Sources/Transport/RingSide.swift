// SPDX-License-Identifier: Apache-2.0

/// Which end of a ring lane: they write different rings.
package enum RingSide: Sendable {
    /// Connected, made the memory; writes the ring to the source.
    case destination
    /// Accepted; writes the ring to the destination.
    case source
}
