// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import Machine
internal import MigrationWire
internal import Telemetry
internal import Transport

/// Memory that travels before the guest runs at the destination.
extension SourceSession {
    /// Rounds over memory while the guest runs, as far as the destination wants them.
    func precopy() throws(MigrationError) {
        guard plan.mostRounds > 0 else { return }
        become(.precopy)
        precopyBegan = .now
        isTracking = true
        do {
            try machine.startTracking()
        } catch {
            throw .machine(error.description)
        }
        while true {
            try sendRound()
            let written = try takeBackWritten()
            let decision = plan.decide(after: rounds, dirtyPages: written.pageCount)
            noteRound(dirtyPages: written.pageCount, decision)
            guard decision != .anotherRound else { continue }
            // Most of the list is known already, and the guest still runs: the pause begins when
            // the destination is done with it.
            if plan.remainder == .inPostcopy { try discard(written, .andAwait) }
            return
        }
    }

    /// Sends what is unsent, and waits until the destination has it.
    ///
    /// - Parameter pages: Only these; nil for all.
    /// - Throws: When the destination does not take it, or something comes in between.
    func sendRound(of pages: [PageIndex]? = nil) throws(MigrationError) {
        let before = memory.totals
        let unsent = pages?.count ?? memory.unsentCount
        let began = MonotonicTime.now
        let number = rounds.count + 1
        memory.openRound(number, of: pages)
        try awaitRound(number, pages: unsent)
        let after = memory.totals
        rounds.append(
            PrecopyRound(
                pages: after.pagesSent - before.pagesSent,
                zeroPages: after.zeroSent - before.zeroSent,
                wireBytes: after.bytesWire - before.bytesWire,
                duration: .nanoseconds(Int64(MonotonicTime.now.nanoseconds(since: began))),
                isPaused: isPaused
            )
        )
    }

    /// Waits until the destination has received a round, as long as it goes on.
    ///
    /// In the pause not for ever: there a destination that takes its time takes the guest's.
    private func awaitRound(_ number: Int, pages: Int) throws(MigrationError) {
        let pageCount = UInt64(memory.ram.layout.pageCount)
        let pagesBefore = memory.totals.pagesSent
        var meter = ProgressMeter(
            pagesTotal: pageCount,
            pageBytes: GuestPage.byteCount,
            pagesDone: pageCount - UInt64(pages)
        )
        let last =
            isPaused
            ? MonotonicTime.now.advanced(
                by: options.loadLimit + PrecopyPlan.patience(toSend: pages, after: rounds)
            ) : nil
        var bytesSeen = -1
        var deadline = MonotonicTime.now
        while true {
            let totals = memory.totals
            if totals.bytesWire != bytesSeen {
                bytesSeen = totals.bytesWire
                deadline = MonotonicTime.now.advanced(by: options.setupLimit)
            }
            guard MonotonicTime.now < min(deadline, last ?? deadline) else {
                throw .lane(.timedOut(.control))
            }
            if try isAnswered() { return try takeRoundReceived(number) }
            guard !isPaused else { continue }
            var progress = meter.read(
                pagesDone: pageCount - UInt64(pages)
                    + UInt64(max(0, totals.pagesSent - pagesBefore)),
                requestsOutstanding: 0
            )
            progress.bytes = ByteCounts(
                raw: UInt64(totals.bytesRaw),
                wire: UInt64(totals.bytesWire)
            )
            observer.progressed(progress)
        }
    }

    /// Waits a moment; true when the destination has said something.
    private func isAnswered() throws(MigrationError) -> Bool {
        let ready = try awaitEvent(within: .milliseconds(100))
        if ready.stop, stop?.take() != nil { throw .stopped }
        if ready.ended { throw .guestEnded("before the pause") }
        if ready.connection { lobby.turnAway(.busy) }
        if ready.control { return true }
        if ready.failure, let error = memory.failure.error { throw error }
        return false
    }

    private func takeRoundReceived(_ number: Int) throws(MigrationError) {
        switch try control.receive(within: LaneOpening.limit) {
        case .roundReceived(let received):
            // Sent before the source has: something else was received.
            guard received.number == UInt32(number), memory.unsentInRound == 0 else {
                throw control.violation(.field("number"))
            }
        case let other:
            throw control.violation(
                .unexpectedMessage(other.name, expected: "round_received")
            )
        }
    }

    private func noteRound(dirtyPages: Int, _ decision: PrecopyPlan.Decision) {
        guard let round = rounds.last else { return }
        let next =
            switch decision {
            case .anotherRound: "another round"
            case .converged: "the rest fits the limit on downtime"
            case .roundsSpent: "the rest does not fit the limit on downtime, but rounds are spent"
            }
        observer.noted(
            "precopy round \(rounds.count): \(round.pages) pages, "
                + "\(HumanUnits.bytes(UInt64(round.wireBytes))) in "
                + "\(HumanUnits.duration(microseconds: round.duration.wholeNanoseconds / 1000)); "
                + "\(dirtyPages) written meanwhile: \(next)"
        )
    }

    /// Takes pages back that have been written since they were sent.
    func takeBackWritten() throws(MigrationError) -> DiscardList {
        do {
            try machine.collectWrites()
        } catch {
            throw .machine(error.description)
        }
        return memory.takeBackWritten()
    }

    /// Whether to wait for what a message leads to.
    enum Waiting { case andAwait, andGoOn }

    /// Has the destination discard pages.
    func discard(_ list: DiscardList, _ waiting: Waiting) throws(MigrationError) {
        for var message in list.messages {
            message.wantsAnswer = waiting == .andAwait
            try control.send(.discard(message))
            if waiting == .andAwait { try awaitDiscarded() }
        }
        discardedCount += list.pageCount
    }

    private func awaitDiscarded() throws(MigrationError) {
        let deadline = MonotonicTime.now.advanced(by: options.setupLimit)
        while try !isAnswered() {
            guard MonotonicTime.now < deadline else { throw .lane(.timedOut(.control)) }
        }
        switch try control.receive(within: LaneOpening.limit) {
        case .discarded: return
        case let other:
            throw control.violation(.unexpectedMessage(other.name, expected: "discarded"))
        }
    }

    /// The guest is paused: what it has written since the last round goes the way the plan says.
    func settleMemory() throws(MigrationError) {
        guard !rounds.isEmpty else { return }
        let written = try takeBackWritten()
        // What was written just now will be written again.
        hotPages += written.pages.prefix(HotPages.mostPages)
        switch plan.remainder {
        case .inPostcopy: try discard(written, .andGoOn)
        case .inPause: if memory.unsentCount > 0 { try sendRound() }
        }
        memory.keepSent()
    }
}

extension PrecopyPlan {
    /// What a destination wants, its number of rounds checked.
    init(_ prepared: WirePrepared) {
        self.init()
        mostRounds = Int(prepared.precopyRounds)
        isKernelAhead = prepared.kernelAhead && mostRounds == 0 && prepared.pagesPerRequest == 1
        downtimeLimit = .microseconds(Int64(clamping: prepared.downtimeLimitUs))
        remainder = prepared.allBeforeRun ? .inPause : .inPostcopy
    }
}

extension WirePrecopyRound {
    /// A round, for the destination's report.
    init(_ round: PrecopyRound) {
        self.init()
        pages = UInt64(round.pages)
        pagesZero = UInt64(round.zeroPages)
        bytesWire = UInt64(round.wireBytes)
        durationUs = round.duration.wholeNanoseconds / 1000
        isPaused = round.isPaused
    }
}
