// SPDX-License-Identifier: Apache-2.0

/// A point of a ``PlotSeries``.
///
/// In a plot with categories the category's number is `x` of a column, `y` of a row, and the other
/// is the value.
package struct PlotPoint: Codable, Equatable, Sendable {
    /// Along the horizontal axis.
    package var x: Double
    /// Along the vertical axis.
    package var y: Double
    /// Where a bar or a whisker begins; nil at zero.
    package var low: Double?

    /// - Parameters:
    ///   - x: Along the horizontal axis.
    ///   - y: Along the vertical axis.
    ///   - low: Where a bar or a whisker begins.
    package init(x: Double, y: Double, low: Double? = nil) {
        self.x = Self.rounded(x)
        self.y = Self.rounded(y)
        self.low = low.map(Self.rounded)
    }

    /// A bar of a row.
    static func row(_ row: Int, from low: Double, to high: Double) -> PlotPoint {
        PlotPoint(x: high, y: Double(row), low: low)
    }

    /// A bar of a column.
    static func column(_ column: Int, _ value: Double) -> PlotPoint {
        PlotPoint(x: Double(column), y: value)
    }

    /// To a nanosecond where the unit is a millisecond: no one sees more, and it keeps the page
    /// small.
    private static func rounded(_ value: Double) -> Double {
        // JSON has no other numbers.
        value.isFinite ? (value * 1e6).rounded() / 1e6 : 0
    }
}
