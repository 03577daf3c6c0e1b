// SPDX-License-Identifier: Apache-2.0

internal import LinuxSystem
private import Synchronization

/// Where the precopy rounds stand at the destination, and whether pages may still come in one.
///
/// Shared by the bulk receivers and the thread that steers; safe from all of them.
package final class IncomingRounds: Sendable {
    /// Readable once every lane has ended the round under way.
    let ended: EventFD
    private let lanes: Int
    private let isOpen = Atomic<Bool>(false)
    /// Changes when the rounds are closed.
    private let closings = FutexWord(0)
    private let most = Atomic<UInt64>(0)
    private let installing = Atomic<Int>(0)
    private let lanesEnded = Atomic<Int>(0)
    private let received = Atomic<UInt64>(0)
    private let frames = Atomic<Int>(0)

    /// No round is under way, and none may be.
    ///
    /// - Parameter lanes: Bulk lanes.
    /// - Throws: ``SystemError`` where there are no descriptors left.
    init(lanes: Int) throws(SystemError) {
        self.lanes = lanes
        ended = try EventFD()
    }

    /// Rounds that every lane has ended.
    var receivedCount: UInt64 { received.load(ordering: .acquiring) }

    /// Frames that have come in rounds.
    var frameCount: Int { frames.load(ordering: .relaxed) }

    /// Whether pages may come in rounds, and so in no other way: what may still be discarded must
    /// not be counted, or claimed, as what has come to stay.
    var areOpen: Bool { isOpen.load(ordering: .acquiring) }

    /// Waits until no page may come in a round any more; false when that takes longer than a time.
    func awaitClosed(within limit: Duration) -> Bool {
        let end = MonotonicTime.now.advanced(by: limit)
        while true {
            let serial = closings.value
            guard areOpen else { return true }
            guard MonotonicTime.now < end else { return false }
            closings.wait(while: serial, timeout: end.remaining)
        }
    }

    /// From now on pages may come in rounds.
    ///
    /// - Parameter most: How many rounds there may be.
    func open(most: Int) {
        self.most.store(UInt64(most), ordering: .relaxed)
        isOpen.store(true, ordering: .sequentiallyConsistent)
    }

    /// No page comes in a round any more, and none of them is being written.
    ///
    /// The guest may run afterwards.
    func close() {
        // Pairs with `begin()`: either that sees the rounds closed, or this its install.
        isOpen.store(false, ordering: .sequentiallyConsistent)
        closings.add(1)
        while installing.load(ordering: .sequentiallyConsistent) != 0 { yieldProcessor() }
    }

    /// A frame of a round is about to be installed; false when none may be.
    ///
    /// `finish()` has to follow either way.
    func begin() -> Bool {
        installing.wrappingAdd(1, ordering: .sequentiallyConsistent)
        return isOpen.load(ordering: .sequentiallyConsistent)
    }

    /// The frame has been installed, or dropped.
    func finish() {
        frames.wrappingAdd(1, ordering: .relaxed)
        installing.wrappingSubtract(1, ordering: .sequentiallyConsistent)
    }

    /// One lane has ended a round; false when it is not the one under way, or none may be.
    ///
    /// - Parameters:
    ///   - number: Of the round, as the lane says.
    ///   - before: Of the round that the lane has ended last.
    /// - Returns: Whether that may be.
    func end(_ number: UInt64, after before: UInt64) -> Bool {
        // A lane cannot be ahead of others: the next round begins when all have ended this one.
        guard isOpen.load(ordering: .acquiring), number == before + 1,
            number <= most.load(ordering: .relaxed),
            received.load(ordering: .acquiring) == before
        else { return false }
        let count = lanesEnded.wrappingAdd(1, ordering: .acquiringAndReleasing).newValue
        if count == lanes {
            lanesEnded.store(0, ordering: .releasing)
            received.store(number, ordering: .releasing)
            ended.signal()
        }
        return true
    }
}
