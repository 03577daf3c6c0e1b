// SPDX-License-Identifier: Apache-2.0

/// What Prometheus is told of a migration.
///
/// Every sample has the labels `role` and, once the two sides have met, `guest`: several processes
/// of one host may write into one folder.
package struct MigrationMetrics: Sendable {
    /// Which side tells.
    package let role: MigrationRole
    /// The guest's identity; empty until the two sides have met.
    package var guest = ""
    /// All phases there are.
    package let phases: [String]
    /// The phase now.
    package var phase: String
    /// When it began, in seconds since 1970.
    package var phaseStart: Double
    /// How far it is, once it has begun.
    package var progress: TransferProgress?
    /// How it ended, once it has.
    package var ending: MigrationEnding?

    /// A migration in the first of all phases.
    ///
    /// - Parameters:
    ///   - role: Which side tells.
    ///   - phases: All phases there are, not empty.
    ///   - start: When it began, in seconds since 1970.
    package init(_ role: MigrationRole, phases: [String], start: Double) {
        precondition(!phases.isEmpty, "a migration without phases")
        self.role = role
        self.phases = phases
        phase = phases[0]
        phaseStart = start
    }

    /// The text that a file holds.
    package var text: String {
        var text = PrometheusText(common: [("role", role.rawValue), ("guest", guest)])
        addState(to: &text)
        addTransfer(to: &text)
        if let report = ending?.report { addResult(report, to: &text) }
        return text.text
    }

    private func addState(to text: inout PrometheusText) {
        text.add(
            "apus_migration_phase",
            "Whether the migration is in this phase.",
            states: phases,
            label: "phase",
            current: phase
        )
        text.add(
            "apus_migration_phase_start_time_seconds",
            .gauge,
            "When the phase began, since 1970.",
            phaseStart
        )
        text.add(
            "apus_migration_outcome",
            "How the migration ended; none holds before.",
            states: MigrationOutcome.allCases.map(\.rawValue),
            label: "outcome",
            current: ending?.outcome.rawValue
        )
    }

    private func addTransfer(to text: inout PrometheusText) {
        let progress = progress
        let pages = ending?.report?.pages ?? progress?.pages
        let bytes = ending?.report?.bytes ?? progress?.bytes
        let precopy = ending?.report?.precopy
        text.add(
            "apus_migration_arrived_ratio",
            .gauge,
            "Share of guest memory that is where it should be, 0 to 1.",
            isComplete ? 1 : progress.map { $0.percent / 100 }
        )
        text.add(
            "apus_migration_requests_outstanding",
            .gauge,
            "Page requests not yet answered.",
            ending == nil ? progress.map { Double($0.requestsOutstanding) } : 0
        )
        text.add(
            "apus_migration_pages_total",
            .counter,
            "Pages of guest memory that have arrived, by how they came.",
            pages.map { pages in
                [
                    ([("how", "requested")], Double(pages.requested)),
                    ([("how", "prefetched")], Double(pages.prefetched)),
                    ([("how", "streamed")], Double(pages.streamed)),
                ] + (precopy.map { [([("how", "precopied")], Double($0.pages))] } ?? [])
            } ?? []
        )
        text.add(
            "apus_migration_discarded_pages_total",
            .counter,
            "Pages that came in precopy rounds and were dropped, as the guest had written them again.",
            precopy.map { Double($0.discardedPages) }
        )
        text.add(
            "apus_migration_precopy_rounds_total",
            .counter,
            "Precopy rounds, one in the pause included.",
            precopy.map { Double($0.rounds.count) }
        )
        text.add(
            "apus_migration_zero_pages_total",
            .counter,
            "Of all these: pages of zeros.",
            pages.map { Double($0.zero) }
        )
        text.add(
            "apus_migration_duplicate_pages_total",
            .counter,
            "Pages that arrived again, and were dropped.",
            pages.map { Double($0.duplicate) }
        )
        text.add(
            "apus_migration_raw_bytes_total",
            .counter,
            "Contents of the pages sent.",
            bytes.map { Double($0.raw) }
        )
        text.add(
            "apus_migration_wire_bytes_total",
            .counter,
            "Bytes on the page lanes, headers included.",
            bytes.map { Double($0.wire) }
        )
    }

    private var isComplete: Bool { ending?.outcome == .completed }

    private func addResult(_ report: MigrationReport, to text: inout PrometheusText) {
        text.add(
            "apus_guest_memory_bytes",
            .gauge,
            "Guest memory.",
            Double(report.machine.memoryBytes)
        )
        text.add(
            "apus_migration_downtime_seconds",
            .gauge,
            "From the last KVM_RUN at the source to the first at the destination.",
            seconds(report.switchover?.downtimeMicroseconds)
        )
        text.add(
            "apus_migration_guest_gap_seconds",
            .gauge,
            "For how long the guest stood still at the longest, by whose clock.",
            [
                ("outside", report.gaps.outsideMicroseconds),
                ("guest", report.gaps.guestMicroseconds),
            ].compactMap { clock, gap in seconds(gap).map { ([("clock", clock)], $0) } }
        )
        text.add(
            "apus_migration_postcopy_seconds",
            .gauge,
            "Length of the postcopy phase.",
            seconds(report.postcopyMicroseconds)
        )
        text.add(
            "apus_migration_duration_seconds",
            .gauge,
            "The whole migration.",
            seconds(report.totalMicroseconds)
        )
        text.add(
            "apus_migration_page_requests_total",
            .counter,
            "Page requests sent.",
            report.faults.map { Double($0.requests) }
        )
        if let latency = report.faults?.latency { addLatency(latency, to: &text) }
    }

    private func addLatency(_ latency: LatencySummary, to text: inout PrometheusText) {
        let buckets = latency.log2MicrosecondBuckets
        guard !buckets.isEmpty else { return }
        text.add(
            "apus_migration_fault_latency_seconds",
            "From a touch of an absent page until its thread goes on.",
            buckets: buckets,
            ends: (1..<buckets.count).map { Double(UInt64(1) << UInt64($0)) / 1e6 },
            sum: Double(latency.meanNanoseconds) * Double(latency.count) / 1e9
        )
    }

    private func seconds(_ microseconds: UInt64?) -> Double? {
        microseconds.map { Double($0) / 1e6 }
    }
}
