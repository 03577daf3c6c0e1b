// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import KVM
internal import LinuxSystem
package import Machine
internal import MigrationWire
package import Telemetry

extension MigrationReport {
    /// What the destination knows of a migration that has ended.
    init(
        machine: Machine,
        identity: [UInt8],
        transport: String,
        phase: Phase,
        error: MigrationError?,
        timeline: Timeline,
        precopyBegan: MonotonicTime?,
        clocks: ClockRelation,
        totals: IncomingTotals?,
        confirmation: WireDoneAck?,
        account: FaultAccount,
        faults counts: FaultTotals?,
        blockTimes: BlockTimes?,
        heartbeatsBefore: [Heartbeat]
    ) {
        let outcome: MigrationOutcome =
            switch (phase, error) {
            case (_, nil): .completed
            case (_, .digest): .digestMismatch
            case (.completed, _): .failed
            case (.failed, _), (.postcopy, _): .guestLost
            case (.setup, _), (.precopy, _), (.switchover, _), (.cancelled, _): .cancelled
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
        apply(timeline, clocks: clocks, guest: identity)
        totalMicroseconds = timeline.total(from: precopyBegan)
        pages.total = UInt64(machine.memory.layout.pageCount)
        resources = ResourceUse(
            guestBytes: machine.memory.layout.byteCount,
            metadataBytesPerPage: Double(PageMap.bytesPerPage)
        )
        if phase == .completed { takeStatistics(of: machine) }
        takeGaps(of: machine, before: heartbeatsBefore, clocks: clocks)
        takeProgress(of: machine)
        var faults = FaultCounts()
        if let counts {
            faults.vcpu = UInt64(counts.userfaultsByVCPUs)
            faults.other = UInt64(counts.userfaultsByOthers)
            faults.exits = UInt64(counts.exits)
            faults.exitsAwaited = UInt64(counts.exitsAwaited)
            faults.exitsOnInstalled = UInt64(counts.exitsOnInstalled)
            faults.continued = UInt64(counts.continued)
            faults.populated = UInt64(counts.populated)
        }
        if let blockTimes {
            faults.overlappedBlockMicroseconds = blockTimes.overlappedNanoseconds / 1000
            let each = blockTimes.perVCPU
            faults.vCPUBlockMicroseconds = each.map { $0 / 1000 }
            faults.blockedMicroseconds = each.reduce(0, +) / 1000
        }
        let latency = account.requested
        faults.latency = latency.count > 0 ? LatencySummary(latency) : nil
        faults.times = account.times
        faults.series = account.series
        faults.first = account.first
        if let totals {
            pages.requested = UInt64(totals.requested)
            pages.streamed = UInt64(totals.streamed)
            pages.prefetched = UInt64(totals.prefetched)
            pages.zero = UInt64(totals.zero)
            pages.duplicate = UInt64(totals.duplicate)
            faults.requests = UInt64(totals.requestsSent)
        }
        self.faults = faults
        if let totals, let rounds = confirmation?.rounds, !rounds.isEmpty {
            precopy = PrecopyAccount(
                tracking: nil,
                pages: UInt64(totals.precopied),
                discardedPages: UInt64(totals.discarded),
                rounds: rounds.prefix(WireLimits.precopyRounds).map { PrecopyAccount.Round($0) }
            )
        }
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
            iterations: statistics.iterations,
            passes: statistics.map(\.passes)
        )
        gaps.guestMicroseconds = statistics.map { $0.largestGapNanoseconds / 1000 }.max()
    }

    /// How the guest went on after it had arrived.
    ///
    /// - Parameter machine: Where it has run since, up to now.
    package mutating func takeAftermath(of machine: Machine) {
        gaps.outsideAfterMicroseconds = machine.largestGap.map { $0.nanoseconds / 1000 }
        takeProgress(of: machine)
    }

    /// What the guest has got done since it runs here, up to now and a few seconds beyond the last
    /// page at the most.
    ///
    /// Never touches guest memory.
    private mutating func takeProgress(of machine: Machine) {
        guard let run = timeline.run else { return }
        let after = Duration.seconds(3)
        let end = min(.now, (timeline.lastPage ?? .now).advanced(by: after))
        let samples = machine.progress(since: run)
        // Behind the samples. After a minute and more their beginning is no longer known.
        if machine.keepsAllProgress { progress = ProgressSeries(samples, from: run, to: end) }
    }

    /// Gaps between heartbeats, as stamped outside the guest.
    private mutating func takeGaps(
        of machine: Machine,
        before: [Heartbeat],
        clocks: ClockRelation
    ) {
        gaps.outsideBeforeMicroseconds =
            before.map { $0.largestGapNanoseconds / 1000 }.max()
        guard clocks == .same else { return }
        let largest = machine.largestGap
        gaps.outsideMicroseconds = largest.map { $0.nanoseconds / 1000 }
        gaps.outsideBegan = largest?.began
    }
}

extension PrecopyAccount.Round {
    fileprivate init(_ round: WirePrecopyRound) {
        self.init(
            pages: round.pages,
            zeroPages: round.pagesZero,
            wireBytes: round.bytesWire,
            durationMicroseconds: round.durationUs,
            isPaused: round.isPaused
        )
    }
}

extension Machine {
    /// The largest gap between heartbeats of any vCPU since gaps were last forgotten, one that is
    /// still open counting with what has passed of it.
    fileprivate var largestGap: (nanoseconds: UInt64, began: MonotonicTime?)? {
        let now = MonotonicTime.now
        return heartbeats.map { $0.largestGap(until: now) }
            .max { $0.nanoseconds < $1.nanoseconds }
    }
}

extension Heartbeat {
    fileprivate func largestGap(
        until now: MonotonicTime
    ) -> (nanoseconds: UInt64, began: MonotonicTime?) {
        let open = last.map { now.nanoseconds(since: $0) } ?? 0
        return open > largestGapNanoseconds
            ? (open, last) : (largestGapNanoseconds, largestGapBegan)
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
