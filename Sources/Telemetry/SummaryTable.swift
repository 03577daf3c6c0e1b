// SPDX-License-Identifier: Apache-2.0

/// Lines of a name, a value and a note, aligned.
struct SummaryTable {
    private static let nameWidth = 18
    private static let valueWidth = 12

    /// The lines so far, each ended by a newline.
    private(set) var text = ""

    /// Adds a line.
    ///
    /// - Parameters:
    ///   - name: What the line is about.
    ///   - value: The number a reader looks for.
    ///   - note: What helps to judge it; may be empty.
    mutating func add(_ name: String, _ value: String, _ note: String = "") {
        text += Self.padded(name, to: Self.nameWidth)
        text += note.isEmpty ? value : Self.padded(value, to: Self.valueWidth) + note
        text += "\n"
    }

    /// At least one space follows, so that columns never touch.
    private static func padded(_ text: String, to width: Int) -> String {
        text + String(repeating: " ", count: max(width - text.count, 1))
    }
}
