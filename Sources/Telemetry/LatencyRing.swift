// SPDX-License-Identifier: Apache-2.0

private import Synchronization

/// Hands latencies from the thread that measures them to the one that keeps the histogram.
///
/// One thread records and one drains, at the same time if they like: no lock, no allocation after
/// the start. A ring that is not drained in time drops what comes, and counts it.
@safe package final class LatencyRing: @unchecked Sendable {
    // Sendable: slots are atomics, and each is written before `written` passes it.
    private let slots: UnsafeMutablePointer<Atomic<UInt64>>
    private let written = Atomic<Int>(0)
    private let drained = Atomic<Int>(0)
    private let lost = Atomic<Int>(0)

    /// Latencies that fit; drained a few times a second, this is room for 100 thousand a second.
    private static let capacity = 1 << 14

    /// An empty ring of 128 KiB.
    package init() {
        unsafe slots = .allocate(capacity: Self.capacity)
        for index in 0..<Self.capacity { unsafe (slots + index).initialize(to: Atomic(0)) }
    }

    deinit {
        unsafe slots.deinitialize(count: Self.capacity)
        unsafe slots.deallocate()
    }

    /// Latencies that found no room.
    package var lostCount: Int { lost.load(ordering: .relaxed) }

    /// Adds a latency; for the measuring thread.
    package func record(nanoseconds: UInt64) {
        let position = written.load(ordering: .relaxed)
        guard position - drained.load(ordering: .acquiring) < Self.capacity else {
            lost.wrappingAdd(1, ordering: .relaxed)
            return
        }
        unsafe slots[position % Self.capacity].store(nanoseconds, ordering: .relaxed)
        // Pairs with the acquire in `drain`.
        written.store(position + 1, ordering: .releasing)
    }

    /// Moves what has been recorded into a histogram; for the thread that keeps it.
    package func drain(into histogram: inout LatencyHistogram) {
        let end = written.load(ordering: .acquiring)
        var position = drained.load(ordering: .relaxed)
        while position < end {
            let latency = unsafe slots[position % Self.capacity].load(ordering: .relaxed)
            histogram.record(nanoseconds: latency)
            position += 1
        }
        // Pairs with the acquire in `record`: the slots may be written again.
        drained.store(end, ordering: .releasing)
    }
}
