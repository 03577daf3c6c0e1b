// SPDX-License-Identifier: Apache-2.0

internal import Foundation

/// Metrics of lanes for a person.
enum LaneTable {
    /// A line for each metric, under a head.
    ///
    /// - Parameters:
    ///   - metrics: What was measured.
    ///   - limits: What was required.
    ///   - rounds: How often each was measured.
    /// - Returns: The lines.
    static func text(_ metrics: [LaneMetric], _ limits: LaneLimits?, rounds: Int) -> String {
        let head =
            row("metric", "value", "ceiling", "ratio", "limit") + "  \(rounds) rounds; ceiling is"
        let lines = metrics.map { metric in
            let limit = limits?.limit(for: metric).map {
                (metric.kind.isCost ? "≤ " : "≥ ") + String(format: "%.2f", $0)
            }
            return row(
                metric.name,
                "\(number(metric.value)) \(metric.unit)",
                number(metric.ceiling),
                String(format: "%.2f", metric.ratio),
                limit ?? "-"
            ) + "  \(metric.ceilingOf)"
        }
        return ([head] + lines).joined(separator: "\n")
    }

    private static func row(_ cells: String...) -> String {
        let widths = [27, 19, 11, 8, 9]
        return zip(cells, widths).enumerated().map { index, cell in
            let padding = String(repeating: " ", count: max(1, cell.1 - cell.0.count))
            return index == 0 ? cell.0 + padding : padding + cell.0
        }
        .joined()
    }

    private static func number(_ value: Double) -> String { String(format: "%.0f", value) }
}
