// SPDX-License-Identifier: Apache-2.0

internal import Foundation

/// A ``MigrationReport`` for a person: some twenty aligned lines, the last about the digest.
package struct Summary {
    /// The lines, each ended by a newline.
    package let text: String

    /// Renders a report; what it does not hold has no line.
    ///
    /// - Parameter report: What to render.
    package init(_ report: MigrationReport) {
        var table = SummaryTable()
        Self.describeOutcome(of: report, in: &table)
        if let switchover = report.switchover { Self.describe(switchover, in: &table) }
        Self.describe(report.gaps, in: &table)
        if let precopy = report.precopy { Self.describe(precopy, in: &table) }
        Self.describeDuration(of: report, in: &table)
        Self.describeTransfer(of: report, in: &table)
        if let faults = report.faults { Self.describe(faults, in: &table) }
        if let walker = report.walker {
            table.add("walker", "\(walker.iterations)", "pages verified" + Self.passes(of: walker))
        }
        Self.describe(report.resources, in: &table)
        text = table.text + Self.digestLine(report.digest) + "\n"
    }

    private static func describeOutcome(of report: MigrationReport, in table: inout SummaryTable) {
        let machine = report.machine
        let guest = [
            machine.guest,
            HumanUnits.count(machine.vcpuCount, of: "vCPU"),
            HumanUnits.bytes(UInt64(clamping: machine.memoryBytes)),
            machine.backing,
        ]
        let word = report.outcome.rawValue.replacingOccurrences(of: "_", with: " ")
        table.add("migration", word, "as seen by the \(report.role.rawValue)")
        if let error = report.error { table.add("error", error) }
        table.add("guest", guest.joined(separator: ", "))
        if !report.transport.isEmpty { table.add("lanes", report.transport) }
        if let path = report.faultPath { table.add("fault path", path) }
    }

    private static func describe(_ times: SwitchoverTimes, in table: inout SummaryTable) {
        let parts: [(String, UInt64?)] = [
            ("save", times.saveMicroseconds), ("send", times.sendMicroseconds),
            ("wire", times.wireMicroseconds), ("load", times.loadMicroseconds),
            ("start", times.startMicroseconds),
        ]
        let spent = parts.compactMap { name, time in
            time.map { "\(name) \(HumanUnits.duration(microseconds: $0))" }
        }
        if let downtime = times.downtimeMicroseconds {
            table.add("downtime", HumanUnits.duration(microseconds: downtime))
        } else if !times.clocksComparable {
            table.add("downtime", "unknown", "the two sides' clocks cannot be compared")
        }
        if !spent.isEmpty { table.add("  its parts", spent.joined(separator: ", ")) }
        if let quiesce = times.quiesceMicroseconds {
            let time = HumanUnits.duration(microseconds: quiesce)
            table.add("  quiesce", time, "before the downtime, not in it")
        }
    }

    private static func describe(_ gaps: GuestGaps, in table: inout SummaryTable) {
        let around = [
            ("before", gaps.outsideBeforeMicroseconds), ("after", gaps.outsideAfterMicroseconds),
        ].compactMap { name, time in
            time.map { "\(name) \(HumanUnits.duration(microseconds: $0))" }
        }.joined(separator: ", ")
        if let gap = gaps.outsideMicroseconds {
            table.add("gap from outside", HumanUnits.duration(microseconds: gap), around)
        } else if !around.isEmpty {
            table.add("gap from outside", "unknown", around)
        }
        if let gap = gaps.guestMicroseconds {
            let time = HumanUnits.duration(microseconds: gap)
            table.add("gap in the guest", time, "by its own clock")
        }
    }

    private static func describeDuration(
        of report: MigrationReport,
        in table: inout SummaryTable
    ) {
        if let postcopy = report.postcopyMicroseconds {
            let before = report.precopy.map { $0.rounds.map(\.pages).reduce(0, &+) } ?? 0
            let bytes =
                Double(report.bytes.raw) - Double(before) * Double(report.machine.pageBytes)
            let rate = bytes * 1_000_000 / Double(max(postcopy, 1))
            let note = bytes > 0 ? HumanUnits.rate(bytesPerSecond: rate) : ""
            table.add("postcopy", HumanUnits.duration(microseconds: postcopy), note)
        }
        if let total = report.totalMicroseconds {
            table.add("total time", HumanUnits.duration(microseconds: total))
        }
    }

    private static func describe(_ precopy: PrecopyAccount, in table: inout SummaryTable) {
        let time = precopy.rounds.map(\.durationMicroseconds).reduce(0, &+)
        var notes = [HumanUnits.count(precopy.rounds.count, of: "round")]
        notes.append("\(precopy.rounds.map(\.pages).reduce(0, &+)) pages")
        notes.append(HumanUnits.bytes(precopy.rounds.map(\.wireBytes).reduce(0, &+)))
        if let last = precopy.rounds.last(where: \.isPaused) {
            let pause = HumanUnits.duration(microseconds: last.durationMicroseconds)
            notes.append("the last in the pause, \(pause)")
        }
        if precopy.discardedPages > 0 { notes.append("discarded \(precopy.discardedPages)") }
        table.add(
            "precopy",
            HumanUnits.duration(microseconds: time),
            notes.joined(separator: ", ")
        )
    }

    private static func describeTransfer(
        of report: MigrationReport,
        in table: inout SummaryTable
    ) {
        let pages = report.pages
        let precopied = report.precopy.map { ["precopied \($0.pages)"] } ?? []
        let kinds =
            precopied + [
                "requested \(pages.requested)", "prefetched \(pages.prefetched)",
                "streamed \(pages.streamed)", "zero \(pages.zero)",
                "duplicate \(pages.duplicate)",
            ]
        table.add("pages", "\(pages.total)", kinds.joined(separator: ", "))
        guard report.bytes.raw > 0 else { return }
        let share = 100 * Double(report.bytes.wire) / Double(report.bytes.raw)
        let wire = HumanUnits.bytes(report.bytes.wire)
        let note = "\(wire) on the wire, \(HumanUnits.significant(share)) %"
        table.add("bytes", HumanUnits.bytes(report.bytes.raw), note)
    }

    private static func describe(_ faults: FaultCounts, in table: inout SummaryTable) {
        let kinds = [
            faults.vcpu.map { "\($0) by vCPUs" }, faults.other.map { "\($0) by others" },
        ].compactMap { $0 }.joined(separator: ", ")
        table.add("page requests", "\(faults.requests)", kinds.isEmpty ? "" : "faults: \(kinds)")
        if let exits = faults.exits, exits > 0 {
            let parts = [
                faults.exitsAwaited.map { "\($0) awaited another's page" },
                faults.exitsOnInstalled.map { "\($0) on installed pages" },
                faults.blockedMicroseconds.map {
                    "blocked \(HumanUnits.duration(microseconds: $0))"
                },
            ]
            table.add("exits", "\(exits)", parts.compactMap(\.self).joined(separator: ", "))
        }
        if let overlapped = faults.overlappedBlockMicroseconds,
            let each = faults.vCPUBlockMicroseconds, let most = each.max(), most > 0
        {
            table.add(
                "vCPUs blocked",
                HumanUnits.duration(microseconds: most),
                "at most, all at once \(HumanUnits.duration(microseconds: overlapped))"
            )
        }
        guard let latency = faults.latency, latency.count > 0 else { return }
        let values = [
            ("p50", latency.p50Nanoseconds), ("p90", latency.p90Nanoseconds),
            ("p99", latency.p99Nanoseconds), ("p99.9", latency.p999Nanoseconds),
            ("max", latency.maximumNanoseconds),
        ].map { "\($0) \(HumanUnits.duration(nanoseconds: $1))" }
        table.add("fault latency", values.joined(separator: ", "))
        if let exits = faults.times?.first(where: { $0.kind == .exit }) {
            describeStages(of: exits, in: &table)
        }
    }

    private static func describeStages(of times: FaultTimes, in table: inout SummaryTable) {
        let stages = [
            ("sent", times.sent), ("served", times.served), ("received", times.received),
            ("installed", times.installed), ("re-entered", times.reentered),
        ].compactMap { name, time in
            time.map { "\(name) \(HumanUnits.duration(nanoseconds: $0.p50Nanoseconds))" }
        }
        if !stages.isEmpty { table.add("  its stages", "p50", stages.joined(separator: ", ")) }
    }

    private static func passes(of walker: WalkerProgress) -> String {
        let passes = walker.passes
        guard let least = passes.min(), let most = passes.max() else { return "" }
        return ", passes of a vCPU: " + (least == most ? "\(least)" : "\(least) to \(most)")
    }

    private static func describe(_ use: ResourceUse, in table: inout SummaryTable) {
        guard use.residentPeakBytes > 0 else { return }
        var memory = "\(HumanUnits.bytes(use.residentBeyondGuestBytes)) beyond the guest"
        if let metadata = use.metadataBytesPerPage {
            memory += ", metadata \(HumanUnits.significant(metadata)) B a page"
        }
        table.add("memory at most", HumanUnits.bytes(use.residentPeakBytes), memory)
        table.add("CPU time", HumanUnits.duration(microseconds: use.processCPUMicroseconds))
    }

    private static func digestLine(_ digest: DigestComparison) -> String {
        guard let isMatch = digest.match else { return "digest: not compared" }
        guard !isMatch else { return "digest: match" }
        let source = digest.source ?? "unknown"
        let destination = digest.destination ?? "unknown"
        return "digest: MISMATCH source \(source) destination \(destination)"
    }
}
