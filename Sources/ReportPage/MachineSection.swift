// SPDX-License-Identifier: Apache-2.0

internal import Telemetry

/// What moved, from where the page has it, and whether memory arrived as it was.
enum MachineSection {
    static func make(_ migration: Migration) -> PageSection? {
        let report = migration.report
        let machine = report.machine
        var table = PageTable()
        table.add("guest", Cell(machine.guest))
        table.add("vCPUs", Cell("\(machine.vcpuCount)"))
        let memory = HumanUnits.bytes(UInt64(clamping: machine.memoryBytes))
        let page = HumanUnits.bytes(UInt64(clamping: machine.pageBytes))
        table.add("memory", Cell("\(memory) in pages of \(page)"))
        let backings = migration.files.map { file in
            "\(file.report.machine.backing) at the \(file.report.role.rawValue)"
        }
        table.add("made of", Cell(backings.joined(separator: ", ")))
        table.add("fault path", ifKnown: migration.faultPath)
        table.add("lanes", Cell(report.transport))
        if let walker = migration.either(\.walker) {
            let iterations = HumanUnits.grouped(walker.iterations)
            table.add("walker", Cell("\(iterations) pages verified and changed in all"))
        }
        if let faults = migration.destination?.faults { add(faults, to: &table) }
        table.add("migration", ifKnown: migration.either(\.sessionIdentity))
        for file in migration.files {
            let version = file.report.formatVersion
            let note = "the \(file.report.role.rawValue)'s, format version \(version)"
            table.add("report", Cell(file.path, note: note))
        }
        var section = PageSection("Machine and memory")
        section.tables = [table, digests(report.digest)]
        return section
    }

    private static func add(_ faults: FaultCounts, to table: inout PageTable) {
        table.add("page requests", Cell(HumanUnits.grouped(faults.requests)))
        let counts: [(String, UInt64?)] = [
            ("memory-fault exits", faults.exits),
            ("on another's page", faults.exitsAwaited),
            ("on installed pages", faults.exitsOnInstalled),
            ("userfaults of vCPUs", faults.vcpu),
            ("userfaults of others", faults.other),
            ("pages mapped again", faults.continued),
            ("pages populated again", faults.populated),
        ]
        for (name, count) in counts {
            table.add(name, ifKnown: count.map(HumanUnits.grouped))
        }
    }

    private static func digests(_ digest: DigestComparison) -> PageTable {
        var table = PageTable()
        let verdict = digest.match.map { $0 ? "they are equal" : "THEY DIFFER" }
        table.add("digest of memory", Cell(verdict ?? "not compared"))
        table.add("at the source", ifKnown: digest.source)
        table.add("at the destination", ifKnown: digest.destination)
        return table
    }

    private typealias Cell = PageTable.Cell
}
