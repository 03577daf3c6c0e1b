// SPDX-License-Identifier: Apache-2.0

/// The middle of some numbers, and their ends.
package struct Spread: Codable, Equatable, Sendable {
    /// The one in the middle, or the mean of the two there.
    package let median: Double
    /// The least.
    package let lowest: Double
    /// The greatest.
    package let highest: Double

    /// Nil for no numbers.
    package init?(_ values: [Double]) {
        let sorted = values.sorted()
        guard let lowest = sorted.first, let highest = sorted.last else { return nil }
        self.lowest = lowest
        self.highest = highest
        median = (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    }
}
