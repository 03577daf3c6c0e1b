// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import KVM

/// Prints a table for a person, row by row, as it comes about.
final class PagingTablePrinter {
    private let isSilent: Bool
    private var contestants: [Contestant] = []

    /// - Parameter isSilent: Whether standard output is for something else.
    init(isSilent: Bool) { self.isSilent = isSilent }

    /// What was measured where, and the names of the columns.
    func printHead(_ table: PagingTable, _ contestants: [Contestant]) {
        self.contestants = contestants
        emit(
            "kernel \(table.kernel), \(table.processors) processors; \(table.backing.rawValue), "
                + "\(table.mode.rawValue), \(table.rounds) rounds"
        )
        emit(
            "thousands of pages a second: median (lowest-highest); "
                + "ratios: medians of the rounds' own"
        )
        var line = pad("vCPUs", 5)
        for contestant in contestants {
            let isSelftest = contestant.program == .selftest
            line += pad((isSelftest ? "C " : "") + contestant.path, Self.rateWidth)
            if let label = ratioLabel(contestant) { line += pad(label, Self.ratioWidth) }
        }
        emit(line + pad("failed", Self.ratioWidth))
    }

    /// One row.
    func print(_ row: PagingTable.Row) {
        var line = pad("\(row.vCPUs)", 5)
        for contestant in contestants {
            let series = row.series.first { $0.contestant == contestant }
            line += pad(series.map(cell) ?? "-", Self.rateWidth)
            if ratioLabel(contestant) != nil {
                let ratio = ratio(contestant, in: row)
                line += pad(ratio.map { String(format: "%.2f", $0) } ?? "-", Self.ratioWidth)
            }
        }
        emit(line + pad("\(row.failed)", Self.ratioWidth))
    }

    private static let rateWidth = 21
    private static let ratioWidth = 8

    /// Behind each exit path its ratio to userfault, behind each of the selftest's ours to it.
    private func ratioLabel(_ contestant: Contestant) -> String? {
        switch contestant.program {
        case .selftest: "ours/C"
        case .apus: contestant.path == FaultPath.userfault.rawValue ? nil : "ratio"
        }
    }

    private func ratio(_ contestant: Contestant, in row: PagingTable.Row) -> Double? {
        guard let path = FaultPath(rawValue: contestant.path) else { return nil }
        return contestant.program == .apus ? row.ratio(path) : row.ratioToSelftest(path)
    }

    private func cell(_ series: RateSeries) -> String {
        guard let median = series.median, let range = series.range else { return "-" }
        return String(
            format: "%.1f (%.1f-%.1f)",
            median / 1000,
            range.lowest / 1000,
            range.highest / 1000
        )
    }

    private func pad(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(1, width - text.count)) + text
    }

    /// At once, whatever standard output is: a table takes minutes.
    private func emit(_ line: String) {
        if !isSilent { FileHandle.standardOutput.write(Data("\(line)\n".utf8)) }
    }
}
