// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem
internal import Synchronization

/// What a vCPU had done by some instant: iterations since the guest was booted, by its own counter,
/// which wraps.
package typealias ProgressSample = (instant: MonotonicTime, iterations: UInt32)

/// The last few thousand samples of one vCPU's progress, the oldest overwritten by the newest.
///
/// One thread records; any thread looks, at the same time. No lock, no allocation after the start.
@safe final class ProgressRing: @unchecked Sendable {
    // Sendable: slots are atomics, and `samples` drops what may have been overwritten meanwhile.
    private let instants: UnsafeMutablePointer<Atomic<UInt64>>
    private let iterations: UnsafeMutablePointer<Atomic<UInt32>>
    private let written = Atomic<Int>(0)

    /// Samples that are kept: 80 s of heartbeats every 5 ms.
    private static let capacity = 1 << 14

    init() {
        unsafe instants = .allocate(capacity: Self.capacity)
        unsafe iterations = .allocate(capacity: Self.capacity)
        for index in 0..<Self.capacity {
            unsafe (instants + index).initialize(to: Atomic(0))
            unsafe (iterations + index).initialize(to: Atomic(0))
        }
    }

    deinit {
        // Atomics of integers: there is nothing to take apart.
        unsafe instants.deallocate()
        unsafe iterations.deallocate()
    }

    /// Whether all that was ever recorded is still kept.
    var isWhole: Bool { written.load(ordering: .relaxed) < Self.capacity }

    /// Adds a sample; for the vCPU's thread.
    func record(_ count: UInt32, at instant: MonotonicTime) {
        let position = written.load(ordering: .relaxed)
        let slot = position % Self.capacity
        unsafe instants[slot].store(instant.nanoseconds, ordering: .relaxed)
        unsafe iterations[slot].store(count, ordering: .relaxed)
        written.store(position + 1, ordering: .releasing)
    }

    /// The samples since an instant, in order, and the last one before it.
    func samples(since start: MonotonicTime) -> [ProgressSample] {
        let end = written.load(ordering: .acquiring)
        // One less than fit: the writer may be overwriting the oldest.
        var first = end
        while first > max(0, end - Self.capacity + 1) {
            first -= 1
            let instant = unsafe instants[first % Self.capacity].load(ordering: .relaxed)
            if instant < start.nanoseconds { break }
        }
        let samples = (first..<end).map { position -> ProgressSample in
            let slot = position % Self.capacity
            let instant = unsafe instants[slot].load(ordering: .relaxed)
            let count = unsafe iterations[slot].load(ordering: .relaxed)
            return (MonotonicTime(nanoseconds: instant), count)
        }
        // What was read above was read before this says how far the writer is.
        atomicMemoryFence(ordering: .acquiring)
        let overwritten = written.load(ordering: .relaxed)
        return Array(samples.dropFirst(max(0, overwritten - Self.capacity + 1 - first)))
    }
}
