// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import KVM
internal import LinuxSystem
internal import Machine
internal import MigrationWire
internal import Telemetry

extension MigrationReport {
    /// What the destination knows of a migration that has ended.
    init(
        machine: Machine,
        transport: String,
        phase: Phase,
        error: MigrationError?,
        timeline: Timeline,
        clocks: ClockRelation,
        totals: IncomingTotals?,
        confirmation: WireDoneAck?,
        latency: LatencyHistogram,
        faults counts: FaultTotals?,
        heartbeatsBefore: [Heartbeat]
    ) {
        let outcome: MigrationOutcome =
            switch (phase, error) {
            case (_, nil): .completed
            case (_, .digest): .digestMismatch
            case (.completed, _): .failed
            case (.failed, _), (.postcopy, _): .guestLost
            case (.setup, _), (.switchover, _), (.cancelled, _): .cancelled
            }
        self.init(
            role: .destination,
            machine: MigratedMachine(
                guest: machine.description.guest,
                vcpuCount: Int(machine.description.vcpuCount),
                memoryBytes: machine.memory.layout.byteCount,
                pageBytes: GuestPage.byteCount,
                backing: machine.memory.backing.rawValue
            ),
            faultPath: machine.faultExits.path.rawValue,
            transport: transport,
            outcome: outcome
        )
        self.error = error?.description
        apply(timeline, clocks: clocks)
        totalMicroseconds = timeline.microseconds(from: \.pauseRequested, to: \.done)
        pages.total = UInt64(machine.memory.layout.pageCount)
        resources = ResourceUse(
            guestBytes: machine.memory.layout.byteCount,
            metadataBytesPerPage: Double(PageMap.bytesPerPage)
        )
        if phase == .completed { takeStatistics(of: machine) }
        takeGaps(of: machine, before: heartbeatsBefore, clocks: clocks)
        var faults = FaultCounts()
        if let counts {
            faults.vcpu = UInt64(counts.userfaultsByVCPUs)
            faults.other = UInt64(counts.userfaultsByOthers)
            faults.exits = UInt64(counts.exits)
            faults.exitsAwaited = UInt64(counts.exitsAwaited)
            faults.exitsOnInstalled = UInt64(counts.exitsOnInstalled)
            faults.continued = UInt64(counts.continued)
            faults.populated = UInt64(counts.populated)
            faults.blockedMicroseconds = counts.blockedNanoseconds / 1000
        }
        faults.latency = latency.count > 0 ? LatencySummary(latency) : nil
        if let totals {
            pages.requested = UInt64(totals.requested)
            pages.streamed = UInt64(totals.streamed)
            pages.prefetched = UInt64(totals.prefetched)
            pages.zero = UInt64(totals.zero)
            pages.duplicate = UInt64(totals.duplicate)
            faults.requests = UInt64(totals.requestsSent)
        }
        self.faults = faults
        if let totals, let confirmation {
            bytes.raw = confirmation.bytesRaw
            bytes.wire = confirmation.bytesWire
            digest = DigestComparison(
                source: PageDigest(confirmation.digest).description,
                destination: totals.digest.description
            )
        }
    }

    /// What the guest itself has counted.
    ///
    /// Reads guest memory, all of which is present.
    private mutating func takeStatistics(of machine: Machine) {
        let statistics = machine.statistics
        guard !statistics.isEmpty else { return }
        walker = WalkerProgress(
            iterations: statistics.map(\.iterations).reduce(0, +),
            passes: statistics.map(\.passes)
        )
        gaps.guestMicroseconds = statistics.map { $0.largestGapNanoseconds / 1000 }.max()
    }

    /// Gaps between heartbeats, as stamped outside the guest.
    ///
    /// A gap that is still open counts with what has passed of it.
    private mutating func takeGaps(
        of machine: Machine,
        before: [Heartbeat],
        clocks: ClockRelation
    ) {
        gaps.outsideBeforeMicroseconds =
            before.map { $0.largestGapNanoseconds / 1000 }.max()
        guard clocks == .same else { return }
        let now = MonotonicTime.now
        gaps.outsideMicroseconds =
            machine.heartbeats.map { heartbeat in
                let open = heartbeat.last.map { now.nanoseconds(since: $0) } ?? 0
                return max(heartbeat.largestGapNanoseconds, open) / 1000
            }.max()
    }
}

extension Timeline {
    /// Takes over what the source stamped.
    mutating func take(_ times: WireSourceTimes, stateSent: UInt64) {
        pauseRequested = MonotonicTime(nanoseconds: times.pauseRequestedNs)
        pause = MonotonicTime(nanoseconds: times.pauseNs)
        stateSaved = MonotonicTime(nanoseconds: times.stateSavedNs)
        self.stateSent = MonotonicTime(nanoseconds: stateSent)
    }

    /// Lets sending end when everything has arrived, although the source stamps it later.
    ///
    /// For clocks that are the same; then the parts of the downtime add up to it.
    mutating func endSendingAtArrival() {
        if let sent = stateSent, let received = stateReceived, received < sent {
            stateSent = received
        }
    }
}
