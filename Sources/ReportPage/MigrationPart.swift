// SPDX-License-Identifier: Apache-2.0

internal import Telemetry

/// What the page shows of one migration.
enum MigrationPart {
    static func make(_ migration: Migration) -> PagePart {
        let machine = migration.report.machine
        let memory = HumanUnits.bytes(UInt64(clamping: machine.memoryBytes))
        var part = PagePart(
            "Migration of a \(machine.guest) with "
                + "\(HumanUnits.count(machine.vcpuCount, of: "vCPU")) and \(memory)"
        )
        part.problem = problem(of: migration)
        let outcome = migration.report.outcome.rawValue.replacing("_", with: " ")
        part.facts = [outcome] + (migration.faultPath.map { ["fault path \($0)"] } ?? [])
        part.facts += ["lanes: \(migration.carrier)"]
        if migration.files.count == 1 {
            part.facts.append("only the \(migration.report.role.rawValue)'s report")
        }
        part.headlines = HeadlineNumbers.make(migration)
        part.add(TimelineSection.make(migration))
        part.add(GapSection.make(migration))
        part.add(ProgressSection.make(migration))
        part.add(LatencySection.make(migration))
        part.add(TransferSection.make(migration))
        part.add(BlockTimeSection.make(migration))
        part.add(CostSection.make(migration))
        part.add(MachineSection.make(migration))
        return part
    }

    private static func problem(of migration: Migration) -> String? {
        let told = migration.files.compactMap { file in
            file.report.error.map { "\(file.report.role.rawValue): \($0)" }
        }
        if !told.isEmpty { return told.joined(separator: "; ") }
        guard migration.report.outcome != .completed else { return nil }
        return "the migration ended as \(migration.report.outcome.rawValue)"
    }
}
