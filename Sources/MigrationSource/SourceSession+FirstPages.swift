// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import Machine
internal import MigrationWire
internal import Telemetry
internal import Transport

/// What the guest will need first where it goes on: sent, or learned, while it still runs here.
extension SourceSession {
    private static let lookCount = 4
    /// Long enough for a timer interrupt, and for a program that wakes a hundred times a second.
    private static let lookInterval = Duration.milliseconds(10)

    /// Where there are no rounds over all memory: sends the guest's kernel in a round of its own,
    /// and learns what the guest keeps writing.
    ///
    /// On a host that cannot tell what is written, does nothing.
    func sendFirstPages() throws(MigrationError) {
        guard plan.mostRounds == 0, startTracking() else { return }
        if plan.isKernelAhead { try sendKernel() }
        try learnHotPages()
    }

    private func sendKernel() throws(MigrationError) {
        // For no longer than a second, where there is a cap.
        let cap = postcopyBytesPerSecond
        let most = cap > 0 ? Int(clamping: cap) / GuestPage.byteCount : .max
        let pages = Array(kernelPages().prefix(most))
        guard !pages.isEmpty else { return }
        become(.precopy)
        precopyBegan = .now
        try sendRound(of: pages)
        let written = try takeBackWritten()
        try discard(written, .andAwait)
        guard let round = rounds.last else { return }
        observer.noted(
            "sent the guest's kernel ahead: \(round.pages) pages, "
                + "\(HumanUnits.bytes(UInt64(round.wireBytes))) in "
                + "\(HumanUnits.duration(microseconds: round.duration.wholeNanoseconds / 1000)); "
                + "\(written.pageCount) written meanwhile"
        )
    }

    /// Has KVM track what is written, until the migration ends: to end it before the pause would
    /// cost the guest more.
    private func startTracking() -> Bool {
        isTracking = true
        do {
            try machine.startTracking()
            return true
        } catch {
            noteUnknown(error)
            return false
        }
    }

    /// Watches for a moment what the guest writes.
    private func learnHotPages() throws(MigrationError) {
        let began = MonotonicTime.now
        var hot = HotPages()
        for _ in 0..<Self.lookCount {
            let ready = try awaitEvent(within: Self.lookInterval)
            if ready.stop, stop?.take() != nil { throw .stopped }
            // All else that may have happened is for the switchover to see.
            if ready.control || ready.failure || ready.ended { return }
            if ready.connection { lobby.turnAway(.busy) }
            do throws(MachineError) {
                try machine.collectWrites()
            } catch {
                noteUnknown(error)
                return
            }
            hot.look(at: machine.memory.written)
            try discard(memory.takeBackWritten(), .andAwait)
        }
        hotPages = hot.pages
        let microseconds = MonotonicTime.now.nanoseconds(since: began) / 1000
        observer.noted(
            "watched the guest for \(HumanUnits.duration(microseconds: microseconds)): "
                + "\(hotPages.count) pages that it keeps writing are sent first"
        )
    }

    /// Where the guest's kernel is, by its registers, for which it stands still for a moment; nothing
    /// where that cannot be told.
    private func kernelPages() -> [PageIndex] {
        defer { machine.resume() }
        do throws(MachineError) {
            _ = try machine.pause(within: options.pauseLimit)
            return try machine.kernelPages()
        } catch {
            observer.noted(
                "where the guest's kernel is cannot be told, and it is not sent ahead: \(error)"
            )
            return []
        }
    }

    private func noteUnknown(_ error: MachineError) {
        observer.noted("what the guest keeps writing is not known, and not sent first: \(error)")
    }
}
