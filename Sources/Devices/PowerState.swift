// SPDX-License-Identifier: Apache-2.0

/// What the power management registers hold; a new value is the state after a reset.
package struct PowerState: Equatable, Sendable {
    /// Events that would interrupt, if there were any.
    package var enabledEvents: UInt16 = 0
    /// The control register, without the bit that enters a sleep.
    package var control: UInt16 = 0

    /// After a reset.
    package init() {}
}
