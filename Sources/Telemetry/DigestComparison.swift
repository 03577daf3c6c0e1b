// SPDX-License-Identifier: Apache-2.0

/// Both sides' digests of guest memory as it was at the pause.
package struct DigestComparison: Codable, Equatable, Sendable {
    /// The source's, 32 hexadecimal digits.
    package var source: String?
    /// The destination's, 32 hexadecimal digits.
    package var destination: String?
    /// Whether they are equal; absent when they were not compared.
    package var match: Bool?

    /// Nothing was compared.
    package init() {}

    /// Compares the two sides.
    ///
    /// - Parameters:
    ///   - source: The source's digest, 32 hexadecimal digits.
    ///   - destination: The destination's.
    package init(source: String, destination: String) {
        self.source = source
        self.destination = destination
        match = source == destination
    }
}
