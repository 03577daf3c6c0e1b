// SPDX-License-Identifier: Apache-2.0

/// Where the other end of a guest's console is.
package enum ConsoleTarget: Hashable, Sendable {
    /// Nowhere: what the guest writes is dropped.
    case none
    /// Standard output, and standard input.
    case standard
    /// Added to the end of a file; there is no input.
    case file(String)
    /// A Unix socket that listens for one client at a time; output is dropped while there is none.
    case socket(path: String)

    /// Reads `none`, `stdio`, `file:PATH` or `unix:PATH`; nil for anything else.
    package init?(_ text: String) {
        guard !text.utf8.contains(0) else { return nil }
        switch text {
        case "none": self = .none
        case "stdio": self = .standard
        case _ where text.hasPrefix("file:") && text.utf8.count > 5:
            self = .file(String(text.dropFirst(5)))
        case _ where text.hasPrefix("unix:") && text.utf8.count > 5:
            self = .socket(path: String(text.dropFirst(5)))
        default: return nil
        }
    }
}
