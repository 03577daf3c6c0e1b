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
            faultPath: "userfault",
            transport: "",
            outcome: outcome
        )
        self.error = error?.description
        apply(session.timeline, clocks: session.clocks)
        totalMicroseconds = session.timeline.microseconds(from: \.pauseRequested, to: \.done)
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
        bytes.raw = UInt64(totals.bytesRaw)
        bytes.wire = UInt64(totals.bytesWire)
        gaps.outsideBeforeMicroseconds =
            machine.heartbeats.map(\.largestGapNanoseconds).max().map { $0 / 1000 }
        resources = ResourceUse(
            guestBytes: machine.memory.layout.byteCount,
            metadataBytesPerPage: 1.0 / 8
        )
    }
}
