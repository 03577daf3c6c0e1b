// SPDX-License-Identifier: Apache-2.0

/// The rates of one program on one path, a number for each run that ended well.
struct RateSeries: Codable {
    /// Who was measured, and on which path.
    let contestant: Contestant
    /// Pages of 4 KiB in a second, in the order of the rounds.
    private(set) var pagesPerSecond: [Double] = []
    /// Runs that failed or did not end in time.
    private(set) var failed = 0

    private enum CodingKeys: String, CodingKey {
        case contestant
        case pagesPerSecond = "pages_per_s"
        case failed
    }

    /// No runs yet.
    init(_ contestant: Contestant) { self.contestant = contestant }

    /// Adds a run; nil for one that failed.
    mutating func add(_ rate: Double?) {
        if let rate { pagesPerSecond.append(rate) } else { failed += 1 }
    }

    /// Nil when there is none.
    var median: Double? {
        let sorted = pagesPerSecond.sorted()
        guard !sorted.isEmpty else { return nil }
        return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    }

    /// The lowest and the highest; nil when there is none.
    var range: (lowest: Double, highest: Double)? {
        guard let lowest = pagesPerSecond.min(), let highest = pagesPerSecond.max() else {
            return nil
        }
        return (lowest, highest)
    }
}
