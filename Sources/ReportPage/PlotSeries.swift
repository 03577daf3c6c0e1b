// SPDX-License-Identifier: Apache-2.0

/// Points of a ``Plot`` that belong together.
package struct PlotSeries: Codable, Equatable, Sendable {
    /// How points are drawn.
    package enum Style: String, Codable, Sendable {
        /// A line through points that are marked.
        case line
        /// A line that keeps its height up to the next point.
        case steps
        /// The same, filled down to zero.
        case area
        /// Bars from `low`, or zero, to the value.
        case bar
        /// Vertical strokes from `low` to `y`.
        case whiskers
        /// Vertical lines over the whole height, at `x`.
        case marker
    }

    /// Colours by their names in `style.css`, which has each for light and for dark pages.
    ///
    /// They are those of Okabe and Ito, which colour-blind readers can tell apart.
    package enum Colour: String, Codable, CaseIterable, Sendable {
        case blue, orange, green, purple, sky, vermillion, yellow, grey

        /// The colours of things that have no order, over and over.
        static func number(_ index: Int) -> Colour {
            allCases[index % (allCases.count - 1)]
        }
    }

    /// How lines are drawn.
    package enum Stroke: String, Codable, Sendable {
        case solid, dashed, dotted
    }

    /// Where it is drawn.
    package enum Pane: String, Codable, Sendable {
        case main, below
    }

    /// For the legend; nothing of a series without a name is in it.
    package var name: String
    /// How points are drawn.
    package var style: Style
    /// In which colour.
    package var colour: Colour
    /// How lines are drawn.
    package var stroke = Stroke.solid
    /// Where it is drawn.
    package var pane = Pane.main
    /// The points; of a plot with categories at most one for each.
    package var points: [PlotPoint] = []

    /// - Parameters:
    ///   - name: For the legend.
    ///   - style: How points are drawn.
    ///   - colour: In which colour.
    ///   - points: The points.
    package init(_ name: String, _ style: Style, _ colour: Colour, _ points: [PlotPoint] = []) {
        self.name = name
        self.style = style
        self.colour = colour
        self.points = points
    }

    /// A vertical line.
    static func marker(_ name: String, _ colour: Colour, at x: Double) -> PlotSeries {
        var marker = PlotSeries(name, .marker, colour, [PlotPoint(x: x, y: 0)])
        marker.stroke = .dashed
        return marker
    }
}
