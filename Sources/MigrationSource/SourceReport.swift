// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import Machine
internal import MigrationWire
internal import Telemetry

extension MigrationReport {
    /// What the source knows of a migration that has ended.
    init(of session: SourceSession, machine: Machine, error: MigrationError?) {
        let outcome: MigrationOutcome =
            switch (session.phase, error) {
            case (_, nil): .completed
            case (_, .digest): .digestMismatch
            case (.failed, _): .guestLost
            default: .cancelled
            }
        self.init(
            role: .source,
            machine: MigratedMachine(
                guest: machine.description.guest,
                vcpuCount: Int(machine.description.vcpuCount),
                memoryBytes: machine.memory.layout.byteCount,
                pageBytes: GuestPage.byteCount,
                backing: machine.memory.backing.rawValue
            ),
            faultPath: nil,
            transport: session.transport,
            outcome: outcome
        )
        self.error = error?.description
        apply(session.timeline, clocks: session.clocks, guest: session.guestIdentity)
        totalMicroseconds = session.timeline.total(from: session.precopyBegan)
        let totals = session.totals
        pages.total = UInt64(machine.memory.layout.pageCount)
        if let done = session.done {
            pages.requested = done.pagesRequested
            pages.streamed = done.pagesStreamed
            pages.prefetched = done.pagesPrefetched
            pages.zero = done.pagesZero
            pages.duplicate = done.pagesDuplicate
            digest = DigestComparison(
                source: totals.digest.description,
                destination: PageDigest(done.digest).description
            )
        }
        if !session.rounds.isEmpty {
            precopy = PrecopyAccount(
                tracking: machine.trackingMethod,
                pages: session.done?.pagesPrecopied ?? 0,
                discardedPages: UInt64(session.discardedCount),
                rounds: session.rounds.map { PrecopyAccount.Round($0) }
            )
        }
        bytes.raw = UInt64(totals.bytesRaw)
        bytes.wire = UInt64(totals.bytesWire)
        gaps.outsideBeforeMicroseconds =
            machine.heartbeats.map(\.largestGapNanoseconds).max().map { $0 / 1000 }
        takeProgress(of: machine)
        resources = ResourceUse(
            guestBytes: machine.memory.layout.byteCount,
            // What has been sent; with rounds also what was written, and what is in the digest.
            metadataBytesPerPage: (session.rounds.isEmpty ? 1.0 : 3.0) / 8
        )
    }
}

extension PrecopyAccount.Round {
    fileprivate init(_ round: PrecopyRound) {
        self.init(
            pages: UInt64(round.pages),
            zeroPages: UInt64(round.zeroPages),
            wireBytes: UInt64(round.wireBytes),
            durationMicroseconds: round.duration.wholeNanoseconds / 1000,
            isPaused: round.isPaused
        )
    }
}

extension MigrationReport {
    /// How much of the guest's progress before the pause a report shows.
    private static let progressBefore = Duration.seconds(3)

    /// What the guest got done in the last seconds before the pause.
    private mutating func takeProgress(of machine: Machine) {
        guard let pause = timeline.pause else { return }
        let span = Self.progressBefore.wholeNanoseconds
        let began = MonotonicTime(nanoseconds: pause.nanoseconds - min(span, pause.nanoseconds))
        progress = ProgressSeries(machine.progress(since: began), from: began, to: pause)
    }
}
