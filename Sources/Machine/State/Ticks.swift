// SPDX-License-Identifier: Apache-2.0

/// TSC ticks and nanoseconds.
///
/// Numbers may come from a peer: nothing here overflows.
package enum Ticks {
    /// How long some ticks take; the largest number when that does not fit.
    package static func nanoseconds(_ ticks: UInt64, kilohertz: UInt32) -> UInt64 {
        scaled(ticks, by: 1_000_000, over: UInt64(kilohertz))
    }

    /// How many ticks some time is, rounded down.
    package static func count(inNanoseconds nanoseconds: UInt64, kilohertz: UInt32) -> UInt64 {
        scaled(nanoseconds, by: UInt64(kilohertz), over: 1_000_000)
    }

    private static func scaled(_ value: UInt64, by factor: UInt64, over divisor: UInt64) -> UInt64 {
        let product = value.multipliedFullWidth(by: factor)
        // The quotient fits exactly when the high half is below the divisor.
        guard product.high < divisor else { return .max }
        return divisor.dividingFullWidth(product).quotient
    }
}
