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

    /// - Parameters:
    ///   - count: How many there were.
    ///   - last: When the last one was seen.
    ///   - largestGapNanoseconds: Longest time between two.
    package init(count: UInt64, last: MonotonicTime?, largestGapNanoseconds: UInt64) {
        self.count = count
        self.last = last
        self.largestGapNanoseconds = largestGapNanoseconds
    }
}

/// Where a vCPU thread notes heartbeats, for others to read.
///
/// One writer, no lock.
final class HeartbeatRecorder: Sendable {
    private let count = Atomic<UInt64>(0)
    private let last = Atomic<UInt64>(0)
    private let largestGap = Atomic<UInt64>(0)

    /// Notes one heartbeat; called by the vCPU's thread.
    func record(at now: MonotonicTime) {
        let before = last.load(ordering: .relaxed)
        if before != 0 {
            let gap = now.nanoseconds(since: MonotonicTime(nanoseconds: before))
            largestGap.max(gap, ordering: .relaxed)
        }
        last.store(now.nanoseconds, ordering: .relaxed)
        // Published last; pairs with the acquire in `value`.
        count.wrappingAdd(1, ordering: .releasing)
    }

    /// What has been noted so far.
    var value: Heartbeat {
        let count = count.load(ordering: .acquiring)
        let last = last.load(ordering: .relaxed)
        return Heartbeat(
            count: count,
            last: last == 0 ? nil : MonotonicTime(nanoseconds: last),
            largestGapNanoseconds: largestGap.load(ordering: .relaxed)
        )
    }

    /// Goes on from what another process noted; the vCPU must be parked.
    func continueFrom(_ heartbeat: Heartbeat) {
        last.store(heartbeat.last?.nanoseconds ?? 0, ordering: .relaxed)
        largestGap.store(0, ordering: .relaxed)
        count.store(heartbeat.count, ordering: .releasing)
    }

    /// Forgets the largest gap.
    func resetGap() {
        largestGap.store(0, ordering: .relaxed)
    }
}
