// SPDX-License-Identifier: Apache-2.0

private import Synchronization

/// Hands fault spans from the thread that stamps them to the one that counts them.
///
/// One thread records and one drains, at the same time if they like: no lock, no allocation after
/// the start. A ring that is not drained in time drops what comes, and counts it.
@safe package final class FaultSpanRing: @unchecked Sendable {
    // Sendable: a slot is written before `written` passes it, and read before `drained` does.
    private let slots: UnsafeMutablePointer<FaultSpan>
    private let written = Atomic<Int>(0)
    private let drained = Atomic<Int>(0)
    private let lost = Atomic<Int>(0)

    /// Spans that fit; drained ten times a second, this is room for 80 thousand a second.
    private static let capacity = 1 << 13

    /// An empty ring, which takes up memory only as far as it has been used.
    package init() {
        unsafe slots = .allocate(capacity: Self.capacity)
    }

    deinit {
        // Spans are plain values: there is nothing to take apart.
        unsafe slots.deallocate()
    }

    /// Spans that found no room.
    package var lostCount: Int { lost.load(ordering: .relaxed) }

    /// Adds a span; for the stamping thread.
    package func record(_ span: FaultSpan) {
        let position = written.load(ordering: .relaxed)
        guard position - drained.load(ordering: .acquiring) < Self.capacity else {
            lost.wrappingAdd(1, ordering: .relaxed)
            return
        }
        unsafe (slots + position % Self.capacity).initialize(to: span)
        // Pairs with the acquire in `drain`.
        written.store(position + 1, ordering: .releasing)
    }

    /// Takes out what has been recorded, oldest first; for the thread that counts.
    package func drain(_ take: (FaultSpan) -> Void) {
        let end = written.load(ordering: .acquiring)
        var position = drained.load(ordering: .relaxed)
        while position < end {
            take(unsafe slots[position % Self.capacity])
            position += 1
        }
        // Pairs with the acquire in `record`: the slots may be written again.
        drained.store(end, ordering: .releasing)
    }
}
