// SPDX-License-Identifier: Apache-2.0

/// An axis of a ``Plot``.
package struct PlotAxis: Codable, Equatable, Sendable {
    /// How numbers are laid along it.
    package enum Scale: String, Codable, Sendable {
        case linear
        case logarithmic
        case category
    }

    /// What it measures.
    package var title: String
    /// Of its numbers; empty for plain counts and categories.
    package var unit: String
    /// How they are laid along it.
    package var scale: Scale
    /// Where it begins; nil where the data do.
    package var lowest: Double?
    /// Where it ends; nil where the data do.
    package var highest: Double?
    /// Where it has its lines; nil where they fall well.
    package var ticks: [Double]?

    /// - Parameters:
    ///   - title: What it measures.
    ///   - unit: Of its numbers.
    ///   - scale: How they are laid along it.
    ///   - lowest: Where it begins.
    ///   - highest: Where it ends.
    package init(
        _ title: String,
        unit: String = "",
        _ scale: Scale = .linear,
        from lowest: Double? = nil,
        to highest: Double? = nil
    ) {
        self.title = title
        self.unit = unit
        self.scale = scale
        self.lowest = lowest
        self.highest = highest
    }

    /// Names instead of numbers.
    static let categories = PlotAxis("", .category)
}
