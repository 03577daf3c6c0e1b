// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import GuestMemory
internal import KVM
internal import LinuxSystem

/// Paging rates by vCPUs and fault path, all measured in turns.
struct PagingTable: Codable {
    /// What to measure.
    struct Plan {
        /// One for each row; the path is every one that the host has.
        let experiments: [PagingParameters]
        let rounds: Int
        /// The kernel's demand_paging_test, if it is to run beside ours.
        let selftest: String?
    }

    /// The rates at one number of vCPUs.
    struct Row: Codable {
        let vCPUs: Int
        let bytesPerVCPU: Int
        var series: [RateSeries]

        private enum CodingKeys: String, CodingKey {
            case vCPUs = "vcpus"
            case bytesPerVCPU = "bytes_per_vcpu"
            case series
        }
    }

    let formatVersion: Int
    let kernel: String
    let processors: Int
    let rounds: Int
    let mode: PagingMode
    let backing: PagingBacking
    private(set) var rows: [Row] = []

    private enum CodingKeys: String, CodingKey {
        case formatVersion = "format_version"
        case kernel, processors, rounds, mode, backing, rows
    }

    /// Measures all of it: in each round of a row every contestant once.
    ///
    /// - Parameters:
    ///   - plan: At least one experiment.
    ///   - printer: Is given the head and each row as soon as it is complete.
    /// - Returns: The table.
    /// - Throws: When there is no KVM or no userfaultfd here.
    static func measure(
        _ plan: Plan,
        _ printer: PagingTablePrinter
    ) throws(BenchFailure) -> PagingTable {
        let contestants = try contestants(plan)
        var table = PagingTable(plan)
        printer.printHead(table, contestants)
        for experiment in plan.experiments {
            var row = Row(
                vCPUs: experiment.vCPUs,
                bytesPerVCPU: experiment.bytesPerVCPU,
                series: contestants.map { RateSeries($0) }
            )
            for _ in 0..<plan.rounds {
                for (index, contestant) in contestants.enumerated() {
                    row.series[index].pagesPerSecond.append(
                        contestant.run(experiment, selftest: plan.selftest ?? "")
                    )
                }
            }
            printer.print(row)
            table.rows.append(row)
        }
        return table
    }

    private init(_ plan: Plan) {
        formatVersion = 1
        kernel =
            Host.contents(of: "/proc/sys/kernel/osrelease")?
            .trimmingCharacters(in: .whitespacesAndNewlines) ?? "unknown"
        processors = Host.usableProcessors
        rounds = plan.rounds
        mode = plan.experiments[0].mode
        backing = plan.experiments[0].backing
    }

    private static func contestants(_ plan: Plan) throws(BenchFailure) -> [Contestant] {
        let exits = try exitPaths()
        var result = ([.userfault] + exits).map { Contestant(.apus, $0) }
        if plan.selftest != nil {
            result.append(Contestant(.selftest, .userfault))
            if exits.contains(.nowait) { result.append(Contestant(.selftest, .nowait)) }
        }
        return result
    }

    /// Ways to memory-fault exits that this host has.
    private static func exitPaths() throws(BenchFailure) -> [FaultPath] {
        do {
            let system = try KVMSystem()
            let layout = try GuestLayout.pc(byteCount: 1 << 20)
            return [FaultPathChoice.nowait, .attributes].compactMap { choice in
                try? FaultExits.probe(choice, on: system, layout: layout).exits.path
            }
        } catch {
            throw BenchFailure(error)
        }
    }
}

extension PagingTable.Row {
    /// The series of a contestant; nil when it was not measured.
    func series(_ program: Contestant.Program, _ path: FaultPath) -> RateSeries? {
        series.first { $0.contestant == Contestant(program, path) }
    }

    /// The ratio of an exit path to userfault, both ours; nil when either is missing.
    func ratio(_ path: FaultPath) -> Double? {
        series(.apus, .userfault).flatMap { series(.apus, path)?.ratio(to: $0) }
    }

    /// The ratio of ours to the selftest's on a path; nil when either is missing.
    func ratioToSelftest(_ path: FaultPath) -> Double? {
        series(.selftest, path).flatMap { series(.apus, path)?.ratio(to: $0) }
    }

    /// Ratios by the name they are required by, with a label each.
    func ratios(_ name: RequiredRatios.Name) -> [(label: String, ratio: Double?)] {
        switch name {
        case .nowait: [("nowait / userfault", ratio(.nowait))]
        case .attributes: [("attributes / userfault", ratio(.attributes))]
        case .selftest:
            FaultPath.allCases.filter { $0 == .userfault || series(.selftest, $0) != nil }
                .map { ("ours / selftest on \($0.rawValue)", ratioToSelftest($0)) }
        }
    }

    /// Runs of all series that failed.
    var failed: Int { series.reduce(0) { $0 + $1.failed } }
}
