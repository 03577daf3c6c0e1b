// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem
internal import Synchronization

/// Signs of life of one vCPU as they were seen from outside.
package struct Heartbeat: Equatable, Sendable {
    /// How many there were, all hosts counted.
    package var count: UInt64
    /// When the last one was seen; nil when there was none.
    package var last: MonotonicTime?
    /// Longest time between two, in nanoseconds, since gaps were last forgotten.
    package var largestGapNanoseconds: UInt64
    /// When that gap began; nil when there was none here.
    package var largestGapBegan: MonotonicTime?

    /// - Parameters:
    ///   - count: How many there were.
    ///   - last: When the last one was seen.
    ///   - largestGapNanoseconds: Longest time between two.
    ///   - largestGapBegan: When that gap began, if it is known.
    package init(
        count: UInt64,
        last: MonotonicTime?,
        largestGapNanoseconds: UInt64,
        largestGapBegan: MonotonicTime? = nil
    ) {
        self.count = count
        self.last = last
        self.largestGapNanoseconds = largestGapNanoseconds
        self.largestGapBegan = largestGapBegan
    }
}

/// Where a vCPU thread notes heartbeats, for others to read.
///
/// One writer, no lock.
final class HeartbeatRecorder: Sendable {
    private let count = Atomic<UInt64>(0)
    private let last = Atomic<UInt64>(0)
    private let largestGap = Atomic<UInt64>(0)
    private let largestGapBegan = Atomic<UInt64>(0)
    /// What the guest had done by each heartbeat.
    let progress = ProgressRing()

    /// Notes one heartbeat; called by the vCPU's thread.
    ///
    /// - Parameters:
    ///   - now: When it was seen.
    ///   - iterations: What the guest has done so far, by its own counter, which may wrap; nil when
    ///     it does not say, and then its heartbeats are what it does.
    func record(at now: MonotonicTime, iterations: UInt32?) {
        let beats = UInt32(truncatingIfNeeded: count.load(ordering: .relaxed))
        progress.record(iterations ?? beats, at: now)
        let before = last.load(ordering: .relaxed)
        if before != 0 {
            let gap = now.nanoseconds(since: MonotonicTime(nanoseconds: before))
            if gap > largestGap.load(ordering: .relaxed) {
                largestGap.store(gap, ordering: .relaxed)
                largestGapBegan.store(before, ordering: .relaxed)
            }
        }
        last.store(now.nanoseconds, ordering: .relaxed)
        // Published last; pairs with the acquire in `value`.
        count.wrappingAdd(1, ordering: .releasing)
    }

    /// What has been noted so far.
    var value: Heartbeat {
        let count = count.load(ordering: .acquiring)
        let last = last.load(ordering: .relaxed)
        let began = largestGapBegan.load(ordering: .relaxed)
        return Heartbeat(
            count: count,
            last: last == 0 ? nil : MonotonicTime(nanoseconds: last),
            largestGapNanoseconds: largestGap.load(ordering: .relaxed),
            largestGapBegan: began == 0 ? nil : MonotonicTime(nanoseconds: began)
        )
    }

    /// Goes on from what another process noted; the vCPU must be parked.
    func continueFrom(_ heartbeat: Heartbeat) {
        last.store(heartbeat.last?.nanoseconds ?? 0, ordering: .relaxed)
        resetGap()
        count.store(heartbeat.count, ordering: .releasing)
    }

    /// Forgets the largest gap.
    func resetGap() {
        largestGap.store(0, ordering: .relaxed)
        largestGapBegan.store(0, ordering: .relaxed)
    }
}
