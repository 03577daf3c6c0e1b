// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory

/// All that `apus bench lanes` measures, in the order in which it does in every round.
struct LaneExperiments {
    /// What to measure, and how thoroughly.
    struct Plan {
        let only: LaneNames?
        let rounds: Int
        /// Round trips in a round.
        let trips: Int
        /// Pages of a stream.
        let streamPageCount: Int
        /// Memory to install, the first is what others are compared with.
        let sizes: [SizeList.Size]
    }

    /// A metric, and one round of it.
    private struct Experiment {
        var metric: LaneMetric
        let measure: () throws -> (value: Double, ceiling: Double)
    }

    /// Measures every metric once in each round, each beside its ceiling.
    ///
    /// - Returns: The metrics; without those whose memory this host does not have.
    /// - Throws: What this host lacks, or what failed.
    static func measure(_ plan: Plan) throws(BenchFailure) -> [LaneMetric] {
        do {
            var experiments = try roundTrips(plan) + streams(plan) + installs(plan)
            for _ in 0..<plan.rounds {
                for index in experiments.indices {
                    let (value, ceiling) = try experiments[index].measure()
                    experiments[index].metric.add(value, ceiling: ceiling)
                }
            }
            let metrics = experiments.map(\.metric)
            return metrics.filter { isAsked($0, plan) } + growths(of: metrics, plan)
        } catch {
            throw BenchFailure(error)
        }
    }

    private static func isAsked(_ metric: LaneMetric, _ plan: Plan) -> Bool {
        plan.only?.contains(metric) ?? true
    }

    private static func roundTrips(_ plan: Plan) -> [Experiment] {
        Medium.allCases.map { medium in
            Experiment(metric: LaneMetric(.roundTrip, medium.rawValue)) {
                let bare = try BareRoundTrip.nanoseconds(over: medium, trips: plan.trips)
                return (try LaneRoundTrip.nanoseconds(over: medium, trips: plan.trips), bare)
            }
        }
        .filter { isAsked($0.metric, plan) }
    }

    private static func streams(_ plan: Plan) throws -> [Experiment] {
        let metrics = Medium.allCases.flatMap { medium in
            [Backing.memfd, .anonymous].map { backing in
                (LaneMetric(.stream, "\(medium.rawValue)-\(backing.rawValue)"), medium, backing)
            }
        }
        .filter { isAsked($0.0, plan) }
        if metrics.isEmpty { return [] }
        let stream = try BulkStream(pageCount: plan.streamPageCount)
        return metrics.map { metric, medium, backing in
            Experiment(metric: metric) {
                let slowest = try stream.slowestStageRate(into: backing)
                return (try stream.rate(over: medium, into: backing), slowest)
            }
        }
    }

    /// Ways to install, by the names that they have in metrics.
    private static let ways: [(name: String, pattern: PagePattern, backing: Backing)] = [
        ("continue", .noise, .memfd), ("copy", .noise, .anonymous), ("zero", .zero, .anonymous),
    ]

    private static func installs(_ plan: Plan) throws -> [Experiment] {
        var result: [Experiment] = []
        for (name, pattern, backing) in ways {
            let sizes = plan.sizes.enumerated().filter { index, size in
                // Growth needs the first size, and its own.
                let isAsked =
                    isAsked(LaneMetric(.install, "\(name)-\(size.text)"), plan)
                    || plan.sizes.indices.contains { other in
                        (other == index || index == 0) && other > 0
                            && Self.isAsked(
                                LaneMetric(.growth, "\(name)-\(plan.sizes[other].text)"),
                                plan
                            )
                    }
                return isAsked && (pattern == .zero || hasRoom(size))
            }
            if sizes.isEmpty { continue }
            let frames = try ReadyFrames(of: pattern)
            for (_, size) in sizes {
                let metric = LaneMetric(.install, "\(name)-\(size.text)")
                result.append(
                    Experiment(metric: metric) {
                        let pages = size.pageCount
                        let bare = try Installs.bareRate(of: frames, pageCount: pages, backing)
                        return (try Installs.rate(of: frames, pageCount: pages, backing), bare)
                    }
                )
            }
        }
        return result
    }

    private static func hasRoom(_ size: SizeList.Size) -> Bool {
        guard let layout = try? GuestLayout.pc(byteCount: size.pageCount << GuestPage.shift) else {
            return false
        }
        return GuestRAM.shortage(of: layout) == nil
    }

    /// Time of a page at every size but the first, beside that at the first.
    private static func growths(of metrics: [LaneMetric], _ plan: Plan) -> [LaneMetric] {
        guard let first = plan.sizes.first else { return [] }
        return ways.flatMap { way in
            plan.sizes.dropFirst().compactMap { size -> LaneMetric? in
                var growth = LaneMetric(.growth, "\(way.name)-\(size.text)")
                guard isAsked(growth, plan),
                    let small = metrics.first(where: {
                        $0.name == "install-\(way.name)-\(first.text)"
                    }),
                    let large = metrics.first(where: {
                        $0.name == "install-\(way.name)-\(size.text)"
                    })
                else { return nil }
                for (rate, base) in zip(large.values, small.values) {
                    growth.add(1e9 / rate, ceiling: 1e9 / base)
                }
                return growth
            }
        }
    }
}
