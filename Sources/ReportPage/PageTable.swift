// SPDX-License-Identifier: Apache-2.0

/// A table of the page, with the rows' names in the first column.
package struct PageTable: Codable, Equatable, Sendable {
    /// A field.
    package struct Cell: Codable, Equatable, Sendable, ExpressibleByStringInterpolation {
        /// What stands in it.
        package var text: String
        /// What stands below it, smaller; nil for nothing.
        package var note: String?
        /// Whether the text may be broken into lines; numbers with their units are not.
        package var isProse: Bool

        /// - Parameters:
        ///   - text: What stands in it.
        ///   - note: What stands below it.
        package init(_ text: String, note: String? = nil) {
            self.text = text
            self.note = note
            isProse = text.count > 24
        }

        package init(stringLiteral text: String) { self.init(text) }
    }

    /// A row.
    package struct Row: Codable, Equatable, Sendable {
        /// What the row is about.
        package var name: String
        /// The other columns.
        package var cells: [Cell]
    }

    /// Above the columns; empty where the rows speak for themselves.
    package var columns: [String] = []
    /// From top to bottom.
    package var rows: [Row] = []
    /// What a reader has to know; nil for nothing.
    package var footnote: String?
    /// A web page that the footnote is about.
    package var link: String?

    /// - Parameter columns: Above the columns.
    package init(_ columns: [String] = []) { self.columns = columns }

    /// Adds a row.
    mutating func add(_ name: String, _ cells: Cell...) {
        rows.append(Row(name: name, cells: cells))
    }

    /// Adds a row of one cell, if there is something to say.
    mutating func add(_ name: String, ifKnown text: String?) {
        if let text { add(name, Cell(text)) }
    }
}
