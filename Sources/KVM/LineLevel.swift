// SPDX-License-Identifier: Apache-2.0

/// The level of an interrupt line.
package enum LineLevel: UInt32, Sendable {
    /// Nothing is asked for.
    case low = 0
    /// A device asks for attention.
    case high = 1
}
