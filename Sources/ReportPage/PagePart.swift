// SPDX-License-Identifier: Apache-2.0

/// A part of the page: a migration, a comparison of several, or a table of paging rates.
package struct PagePart: Codable, Equatable, Sendable {
    /// Its heading.
    package var title: String
    /// What went wrong; nil for nothing.
    package var problem: String?
    /// A few words each that say what it was.
    package var facts: [String] = []
    /// The numbers that a reader looks for first.
    package var headlines: [Headline] = []
    /// All else.
    package var sections: [PageSection] = []
    /// Whether a reader opens it.
    package var isCollapsed = false

    /// - Parameter title: Its heading.
    package init(_ title: String) { self.title = title }

    /// Adds a section that has something to show.
    mutating func add(_ section: PageSection?) {
        if let section, !section.isEmpty { sections.append(section) }
    }
}
