// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import Telemetry

/// What a table has to show, on the command line: `nowait=2.2@1,nowait=1.3,selftest=0.95`.
struct RequiredRatios: ExpressibleByArgument {
    /// One part of it.
    struct Requirement {
        let name: Name
        let ratio: Double
        /// Nil for all that have none of their own.
        let vCPUs: Int?
    }

    /// Ratios that can be required.
    enum Name: String {
        case nowait, attributes, selftest
    }

    let requirements: [Requirement]

    init?(argument: String) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
        requirements = parts.compactMap { Self.requirement(String($0)) }
        guard requirements.count == parts.count else { return nil }
    }

    /// Where a table does not show it, a line each; a ratio that was not measured falls short.
    func shortfalls(in table: PagingTable) -> [String] {
        table.rows.flatMap { row in
            requirements.filter { applies($0, to: row) }.flatMap { requirement in
                row.ratios(requirement.name).compactMap { label, ratio in
                    if let ratio, ratio >= requirement.ratio { return nil }
                    let found = ratio.map(HumanUnits.significant) ?? "not measured"
                    return "\(label) at \(row.vCPUs) vCPUs is \(found), not \(requirement.ratio)"
                }
            }
        }
    }

    private func applies(_ requirement: Requirement, to row: PagingTable.Row) -> Bool {
        if let vCPUs = requirement.vCPUs { return vCPUs == row.vCPUs }
        return !requirements.contains { $0.name == requirement.name && $0.vCPUs == row.vCPUs }
    }

    private static func requirement(_ text: String) -> Requirement? {
        let sides = text.split(separator: "=", omittingEmptySubsequences: false)
        guard sides.count == 2, let name = Name(rawValue: String(sides[0])) else { return nil }
        let values = sides[1].split(separator: "@", omittingEmptySubsequences: false)
        guard let ratio = Double(values[0]), ratio.isFinite, ratio > 0 else { return nil }
        if values.count == 1 { return Requirement(name: name, ratio: ratio, vCPUs: nil) }
        guard values.count == 2, let vCPUs = Int(values[1]), vCPUs > 0 else { return nil }
        return Requirement(name: name, ratio: ratio, vCPUs: vCPUs)
    }
}
