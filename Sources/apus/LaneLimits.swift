// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import Telemetry

/// What ratios lanes have to show, on the command line: `round-trip-ring=2,stream=0.6`.
struct LaneLimits: ExpressibleByArgument {
    private let limits: [(name: String, ratio: Double)]

    init?(argument: String) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
        limits = parts.compactMap { part in
            let sides = part.split(separator: "=", omittingEmptySubsequences: false)
            guard sides.count == 2, LaneNames.isKnown(String(sides[0])),
                let ratio = Double(sides[1]), ratio.isFinite, ratio > 0
            else { return nil }
            return (String(sides[0]), ratio)
        }
        guard limits.count == parts.count else { return nil }
    }

    /// Where metrics do not show it, a line each; a limit that none is held to falls short too.
    func shortfalls(in metrics: [LaneMetric]) -> [String] {
        let unmet = limits.filter { limit in !metrics.contains { $0.answers(to: limit.name) } }
            .map { "\($0.name) was not measured" }
        return unmet
            + metrics.compactMap { metric in
                guard let limit = limit(for: metric) else { return nil }
                let isMet = metric.kind.isCost ? metric.ratio <= limit : metric.ratio >= limit
                if isMet { return nil }
                let bound = metric.kind.isCost ? "at most" : "at least"
                let found = HumanUnits.significant(metric.ratio)
                return "\(metric.name) is \(found) of its ceiling, not \(bound) \(limit)"
            }
    }

    /// The longest name that fits wins.
    func limit(for metric: LaneMetric) -> Double? {
        limits.filter { metric.answers(to: $0.name) }.max { $0.name.count < $1.name.count }?.ratio
    }
}

/// Names of metrics, or beginnings of them, on the command line: `round-trip,stream-ring`.
struct LaneNames: ExpressibleByArgument {
    private let names: [String]

    init?(argument: String) {
        names = argument.split(separator: ",", omittingEmptySubsequences: false).map { String($0) }
        guard names.allSatisfy(Self.isKnown) else { return nil }
    }

    /// Whether a metric is among them.
    func contains(_ metric: LaneMetric) -> Bool { names.contains { metric.answers(to: $0) } }

    /// Whether a name can be that of a metric.
    static func isKnown(_ name: String) -> Bool {
        LaneMetric.Kind.allCases.contains {
            name == $0.rawValue || name.hasPrefix($0.rawValue + "-")
        }
    }
}
