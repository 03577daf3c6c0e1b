// SPDX-License-Identifier: Apache-2.0

/// Words of a peer that a person may see.
enum PeerText {
    /// At most 64 letters, digits and dashes: nothing that a terminal would obey.
    static func word(_ text: String) -> String {
        text.prefix(64).filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
    }
}
