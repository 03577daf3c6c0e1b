// SPDX-License-Identifier: Apache-2.0

/// The rates of one program on one path, a number for each round.
struct RateSeries: Codable {
    /// Who was measured, and on which path.
    let contestant: Contestant
    /// Pages of 4 KiB in a second, in the order of the rounds; nil where the run failed or did not
    /// end in time.
    var pagesPerSecond: [Double?] = []

    private enum CodingKeys: String, CodingKey {
        case contestant
        case pagesPerSecond = "pages_per_s"
    }

    /// No runs yet.
    init(_ contestant: Contestant) { self.contestant = contestant }

    /// Runs that failed.
    var failed: Int { pagesPerSecond.count { $0 == nil } }

    /// Nil when all runs failed.
    var median: Double? { apus.median(pagesPerSecond.compactMap(\.self)) }

    /// The lowest and the highest; nil when all runs failed.
    var range: (lowest: Double, highest: Double)? {
        let rates = pagesPerSecond.compactMap(\.self)
        guard let lowest = rates.min(), let highest = rates.max() else { return nil }
        return (lowest, highest)
    }

    /// How many times another's rate goes into this one: the median over the rounds in which both
    /// ended well.
    ///
    /// What slows a whole round, on a machine that has other things to do, is in neither.
    func ratio(to other: RateSeries) -> Double? {
        let ratios = zip(pagesPerSecond, other.pagesPerSecond).compactMap { mine, theirs in
            if let mine, let theirs { mine / theirs } else { nil }
        }
        return apus.median(ratios)
    }
}
