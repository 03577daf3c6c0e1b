// SPDX-License-Identifier: Apache-2.0

/// The middle of some values, or the mean of the two in the middle; nil for none.
func median(_ values: some Sequence<Double>) -> Double? {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return nil }
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}
