// SPDX-License-Identifier: Apache-2.0

/// A heading of the page, with what stands below it.
package struct PageSection: Codable, Equatable, Sendable {
    /// The heading.
    package var title: String
    /// What a reader should know first; empty for nothing.
    package var lead: String
    /// Plots, before the tables.
    package var plots: [Plot] = []
    /// Tables.
    package var tables: [PageTable] = []

    /// - Parameters:
    ///   - title: The heading.
    ///   - lead: What a reader should know first.
    package init(_ title: String, _ lead: String = "") {
        self.title = title
        self.lead = lead
    }

    /// Whether there is nothing below the heading.
    var isEmpty: Bool { plots.isEmpty && tables.isEmpty }
}
