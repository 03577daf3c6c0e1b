// SPDX-License-Identifier: Apache-2.0

internal import Telemetry

extension HumanUnits {
    /// For example `4.21 ms`.
    static func duration(milliseconds: Double) -> String {
        // Ten years are enough, and fit.
        duration(nanoseconds: UInt64(min(max(milliseconds, 0), 3e11) * 1e6))
    }

    /// A whole number with its thousands apart, for example `131 072`.
    static func grouped(_ number: UInt64) -> String {
        let digits = Array(String(number))
        return digits.indices.map { index in
            let isBreak = index > 0 && (digits.count - index) % 3 == 0
            return (isBreak ? "\u{202F}" : "") + String(digits[index])
        }.joined()
    }

    /// A part of a whole, for example `12.5 %`.
    static func percent(_ part: UInt64, of whole: UInt64) -> String {
        whole == 0 ? "" : "\(significant(100 * Double(part) / Double(whole))) %"
    }
}
