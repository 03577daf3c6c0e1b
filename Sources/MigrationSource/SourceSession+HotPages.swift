// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import Machine
internal import MigrationWire
internal import Telemetry
internal import Transport

/// What the guest will need first, learned while it still runs here.
extension SourceSession {
    private static let lookCount = 4
    /// Long enough for a timer interrupt, and for a program that wakes a hundred times a second.
    private static let lookInterval = Duration.milliseconds(10)

    /// Watches for a moment what the guest writes.
    ///
    /// Not with rounds: then nothing is sent between the pause and the moment the guest goes on.
    /// Tracking ends with the migration: to end it before the pause would cost the guest more.
    ///
    /// - Returns: What it keeps writing; nothing on a host that cannot tell, or when something has
    ///   come between.
    func learnHotPages() throws(MigrationError) -> [PageIndex] {
        guard plan.mostRounds == 0 else { return [] }
        isTracking = true
        let began = MonotonicTime.now
        var hot = HotPages()
        do throws(MachineError) {
            try machine.startTracking()
        } catch {
            noteUnknown(error)
            return []
        }
        for _ in 0..<Self.lookCount {
            let ready = try awaitEvent(within: Self.lookInterval)
            if ready.stop, stop?.take() != nil { throw .stopped }
            // All else that may have happened is for the switchover to see.
            if ready.control || ready.failure || ready.ended { return [] }
            if ready.connection { lobby.turnAway(.busy) }
            do throws(MachineError) {
                try machine.collectWrites()
            } catch {
                noteUnknown(error)
                return []
            }
            hot.look(at: machine.memory.written)
        }
        let pages = hot.pages
        let microseconds = MonotonicTime.now.nanoseconds(since: began) / 1000
        observer.noted(
            "watched the guest for \(HumanUnits.duration(microseconds: microseconds)): "
                + "\(pages.count) pages that it keeps writing are sent first"
        )
        return pages
    }

    private func noteUnknown(_ error: MachineError) {
        observer.noted("what the guest keeps writing is not known, and not sent first: \(error)")
    }
}
