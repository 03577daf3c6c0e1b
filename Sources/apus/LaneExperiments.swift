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
        /// Pages of memory that requests are made in.
        let latencyPageCount: Int
        /// Memory to install, the first is what others are compared with.
        let sizes: [SizeList.Size]
    }

    /// A metric, and one round of it.
    private struct Experiment {
        var metric: LaneMetric
        /// What else it finds.
        var other: LaneMetric?
        /// How often it is measured in a round.
        var turns = 1
        /// Measures once, given the number of the round.
        let measure: (Int) throws -> Round
    }

    /// What a round found.
    private struct Round {
        let value: Double
        let ceiling: Double
        var other: (value: Double, ceiling: Double)?
    }

    /// Measures every metric once in each round, each beside its ceiling.
    ///
    /// - Returns: The metrics; without those whose memory this host does not have.
    /// - Throws: What this host lacks, or what failed.
    static func measure(_ plan: Plan) throws(BenchFailure) -> [LaneMetric] {
        do {
            var experiments =
                try roundTrips(plan) + streams(plan) + latencies(plan) + recordings(plan)
                + installs(plan)
            for number in 0..<plan.rounds {
                for index in experiments.indices {
                    for _ in 0..<experiments[index].turns {
                        let found = try experiments[index].measure(number)
                        experiments[index].metric.add(found.value, ceiling: found.ceiling)
                        if let other = found.other {
                            experiments[index].other?.add(other.value, ceiling: other.ceiling)
                        }
                    }
                }
            }
            let metrics = experiments.map(\.metric) + experiments.compactMap(\.other)
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
            Experiment(metric: LaneMetric(.roundTrip, medium.rawValue)) { _ in
                let bare = try BareRoundTrip.nanoseconds(over: medium, trips: plan.trips)
                let value = try LaneRoundTrip.nanoseconds(over: medium, trips: plan.trips)
                return Round(value: value, ceiling: bare)
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
        let turns = turns(ofStream: plan.streamPageCount)
        let stream = try BulkStream(pageCount: plan.streamPageCount / turns)
        return metrics.map { metric, medium, backing in
            // One medium is enough to tell what the other stage takes from one.
            let stages = medium == .ring ? LaneMetric(.stages, backing.rawValue) : nil
            return Experiment(metric: metric, other: stages, turns: turns) { _ in
                let besides = try stream.stageRate(into: backing, areSideBySide: true)
                let streaming = try stream.rate(over: medium, into: backing)
                guard stages != nil else { return Round(value: streaming, ceiling: besides) }
                let alone = try stream.stageRate(into: backing, areSideBySide: false)
                return Round(value: streaming, ceiling: besides, other: (besides, alone))
            }
        }
    }

    /// In how many turns with its ceiling a stream goes, each with a ratio of its own: what other
    /// guests of the same machine do lasts longer than a turn, and so mostly slows both.
    private static func turns(ofStream pageCount: Int) -> Int { max(1, min(8, pageCount >> 12)) }

    private static func latencies(_ plan: Plan) throws -> [Experiment] {
        let metrics = Medium.allCases.map { medium in
            (
                LaneMetric(.latency, medium.rawValue), LaneMetric(.allocations, medium.rawValue),
                medium
            )
        }
        .filter { isAsked($0.0, plan) || isAsked($0.1, plan) }
        if metrics.isEmpty { return [] }
        let latency = try RequestLatency(pageCount: plan.latencyPageCount)
        return metrics.map { metric, allocations, medium in
            Experiment(metric: metric, other: allocations) { _ in
                let alone = try latency.measure(over: medium, isStreaming: false)
                let beside = try latency.measure(over: medium, isStreaming: true)
                return Round(
                    value: beside.p99Nanoseconds,
                    ceiling: alone.p99Nanoseconds,
                    other: (Double(beside.allocations), Double(max(1, beside.pages)))
                )
            }
        }
    }

    private static func recordings(_ plan: Plan) throws -> [Experiment] {
        let metrics = [Medium.ring, .unix].map { medium in
            (LaneMetric(.recording, medium.rawValue), medium)
        }
        .filter { isAsked($0.0, plan) }
        if metrics.isEmpty { return [] }
        let cost = try RecordingCost(
            pageCount: min(plan.latencyPageCount, RecordingCost.mostPages)
        )
        return metrics.map { metric, medium in
            Experiment(metric: metric) { number in
                let rates = try cost.rates(over: medium, recordsFirst: number % 2 == 0)
                return Round(value: rates.recorded, ceiling: rates.unrecorded)
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
                    || isAsked(LaneMetric(.verification, "\(name)-\(size.text)"), plan)
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
                let verification = LaneMetric(.verification, "\(name)-\(size.text)")
                result.append(
                    Experiment(metric: metric, other: verification) { number in
                        try installRound(number, of: frames, size.pageCount, backing)
                    }
                )
            }
        }
        return result
    }

    /// How often a round fills memory: what is little is over before a rate can be told.
    private static func turns(of pageCount: Int) -> Int { pageCount < 1 << 18 ? 6 : 1 }

    private static func installRound(
        _ number: Int,
        of frames: ReadyFrames,
        _ pageCount: Int,
        _ backing: Backing
    ) throws -> Round {
        var seconds = [Double](repeating: 0, count: Installs.Loop.allCases.count)
        for turn in 0..<turns(of: pageCount) {
            let rates = try Installs.rates(
                of: Installs.Loop.allCases,
                frames,
                pageCount: pageCount,
                backing,
                beginningWith: number + turn
            )
            for (index, rate) in rates.enumerated() { seconds[index] += 1 / rate }
        }
        let rates = seconds.map { Double(turns(of: pageCount)) / $0 }
        let (installer, hashed, bare) = (rates[0], rates[1], rates[2])
        return Round(value: installer, ceiling: hashed, other: (hashed, bare))
    }

    private static func hasRoom(_ size: SizeList.Size) -> Bool {
        guard let layout = try? GuestLayout.pc(byteCount: size.pageCount << GuestPage.shift) else {
            return false
        }
        return GuestRAM.obstacle(to: layout, .anonymous) == nil
    }

    /// Time of a page at every size but the first, beside that at the first.
    ///
    /// The ceiling grows as the bare loop did in the same round: on a virtual host others hold the
    /// price of memory that the host has to find first.
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
                for round in large.values.indices {
                    let bareGrowth = small.ceilings[round] / large.ceilings[round]
                    growth.add(
                        1e9 / large.values[round],
                        ceiling: 1e9 / small.values[round] * bareGrowth
                    )
                }
                return growth
            }
        }
    }
}
