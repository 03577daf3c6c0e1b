// SPDX-License-Identifier: Apache-2.0

/// One plot of the page: what is drawn, and not how; `plots.js` gives it to the chart library.
package struct Plot: Codable, Equatable, Sendable {
    /// How the axes are laid.
    package enum Shape: String, Codable, Sendable {
        /// Numbers on both axes.
        case lines
        /// Categories along x, bars upwards.
        case columns
        /// Categories downwards, bars along x.
        case rows
    }

    /// What it shows, a few words.
    package var title: String
    /// How to read it, one or two sentences.
    package var sentence: String
    /// How the axes are laid.
    package var shape: Shape
    /// Names of the columns or rows.
    package var categories: [String] = []
    /// The horizontal axis.
    package var x: PlotAxis
    /// The vertical axis.
    package var y: PlotAxis
    /// The vertical axis of a second pane below the first, where there is one.
    package var below: PlotAxis?
    /// What is drawn, in this order in the legend.
    package var series: [PlotSeries] = []
    /// Height in the font's size.
    package var height = 20
}
