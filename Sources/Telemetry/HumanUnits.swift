// SPDX-License-Identifier: Apache-2.0

internal import Foundation

/// Numbers as a person reads them: three significant digits and a unit that fits.
package enum HumanUnits {
    /// For example `812 ns`, `48.1 µs`, `4.21 ms`, `1.03 s`.
    package static func duration(nanoseconds: UInt64) -> String {
        scaled(Double(nanoseconds), by: 1000, units: ["ns", "µs", "ms", "s"])
    }

    /// For example `4.21 ms`.
    package static func duration(microseconds: UInt64) -> String {
        duration(nanoseconds: microseconds.multipliedReportingOverflow(by: 1000).partialValue)
    }

    /// For example `812 B`, `512 MiB`, `1.25 GiB`.
    package static func bytes(_ count: UInt64) -> String {
        scaled(Double(count), by: 1024, units: ["B", "KiB", "MiB", "GiB", "TiB"])
    }

    /// A rate of bytes, in MiB/s whatever its size, so that rates compare at a glance.
    package static func rate(bytesPerSecond: Double) -> String {
        significant(bytesPerSecond / 1_048_576) + " MiB/s"
    }

    /// A whole number with its noun, for example `1 vCPU`, `2 vCPUs`.
    package static func count(_ number: Int, of noun: String) -> String {
        "\(number) \(noun)\(number == 1 ? "" : "s")"
    }

    /// A number with three significant digits, and all those before the decimal point.
    package static func significant(_ value: Double) -> String {
        if value < 9.995 { return String(format: "%.2f", value) }
        if value < 99.95 { return String(format: "%.1f", value) }
        return String(format: "%.0f", value)
    }

    private static func scaled(_ value: Double, by factor: Double, units: [String]) -> String {
        var value = value
        var unit = 0
        // What would be printed as a full next unit is printed in that unit.
        while unit < units.count - 1, value.rounded() >= factor {
            value /= factor
            unit += 1
        }
        let isWhole = unit == 0 || value == value.rounded()
        return "\(isWhole ? String(format: "%.0f", value) : significant(value)) \(units[unit])"
    }
}
