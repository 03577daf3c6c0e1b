// SPDX-License-Identifier: Apache-2.0

/// One of the numbers that a reader looks for first.
package struct Headline: Codable, Equatable, Sendable {
    /// What it is.
    package var name: String
    /// The number with its unit.
    package var value: String
    /// What helps to judge it; empty for nothing.
    package var note: String
    /// Whether it is the one that matters most.
    package var isMain = false

    /// - Parameters:
    ///   - name: What it is.
    ///   - value: The number with its unit.
    ///   - note: What helps to judge it.
    package init(_ name: String, _ value: String, _ note: String = "") {
        self.name = name
        self.value = value
        self.note = note
    }
}
