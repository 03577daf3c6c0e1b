// SPDX-License-Identifier: Apache-2.0

/// The table of `apus bench demand-paging --table … --json FILE`, as far as the page shows it.
package struct PagingRates: Decodable, Equatable, Sendable {
    /// The format that this code reads.
    package static let knownFormatVersion = 1

    /// A program on a fault path.
    package struct Contestant: Decodable, Equatable, Sendable {
        /// `apus`, or `selftest` for the kernel's demand_paging_test.
        package let program: String
        /// `userfault`, `nowait` or `attributes`.
        package let path: String
    }

    /// A contestant's rates, one for each round.
    package struct Series: Decodable, Equatable, Sendable {
        /// Who was measured.
        package let contestant: Contestant
        /// Pages of 4 KiB a second; nil where a run failed.
        package let rates: [Double?]

        private enum CodingKeys: String, CodingKey {
            case contestant
            case rates = "pages_per_s"
        }

        /// Of the runs that did not fail; nil when all did.
        var spread: Spread? { Spread(rates.compactMap(\.self)) }

        /// How many times another's rate goes into this one, round by round.
        func ratios(to other: Series) -> Spread? {
            Spread(
                zip(rates, other.rates).compactMap { mine, theirs in
                    if let mine, let theirs, theirs > 0 { mine / theirs } else { nil }
                }
            )
        }
    }

    /// The rates at one number of vCPUs.
    package struct Row: Decodable, Equatable, Sendable {
        /// How many.
        package let vCPUs: Int
        /// Memory that each paged in.
        package let bytesPerVCPU: Int
        /// The contestants, in the same order in all rows.
        package let series: [Series]

        private enum CodingKeys: String, CodingKey {
            case vCPUs = "vcpus"
            case bytesPerVCPU = "bytes_per_vcpu"
            case series
        }

        /// A contestant's; nil when it was not measured.
        func series(_ contestant: Contestant) -> Series? {
            series.first { $0.contestant == contestant }
        }
    }

    /// Of the host.
    package let kernel: String
    /// Of the host.
    package let processors: Int
    /// How often each contestant was run.
    package let rounds: Int
    /// `MINOR` or `MISSING`.
    package let mode: String
    /// What guest memory was made of.
    package let backing: String
    /// One for each number of vCPUs.
    package let rows: [Row]

    /// All who were measured, in the order in which they first come.
    var contestants: [Contestant] {
        var all: [Contestant] = []
        for series in rows.flatMap(\.series) where !all.contains(series.contestant) {
            all.append(series.contestant)
        }
        return all
    }
}
