// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
package import LinuxSystem
private import Synchronization

/// For how long vCPUs have been blocked on absent pages: each of them, and all at the same time.
///
/// QEMU's `postcopy-vcpu-blocktime` and `postcopy-blocktime`. Safe from all threads; takes no lock.
/// A vCPU is blocked by one fault at a time.
package final class BlockTimes: Sendable {
    private let vCPUs: [VCPU]
    private let blocked = Atomic<Int>(0)
    /// When the vCPU that was blocked last was blocked.
    private let lastBlocked = Atomic<UInt64>(0)
    private let overlapped = Atomic<UInt64>(0)

    private final class VCPU: Sendable {
        /// Since when it is blocked; zero while it is not.
        let since = Atomic<UInt64>(0)
        /// What for, where others end it: a page's number, or a negative number.
        let page = Atomic<Int>(-1)
        let total = Atomic<UInt64>(0)
    }

    /// - Parameter vCPUs: How many there are, at least one.
    package init(vCPUs: Int) {
        self.vCPUs = (0..<vCPUs).map { _ in VCPU() }
    }

    /// A vCPU is blocked from an instant on; for its own thread.
    package func begin(_ vCPU: Int, at instant: MonotonicTime) {
        vCPUs[vCPU].since.store(instant.nanoseconds, ordering: .relaxed)
        // Before it counts as blocked: when all are, this is the latest of their beginnings.
        lastBlocked.max(instant.nanoseconds, ordering: .relaxed)
        blocked.wrappingAdd(1, ordering: .acquiringAndReleasing)
    }

    /// A vCPU goes on; does nothing when it was not blocked.
    package func end(_ vCPU: Int, at instant: MonotonicTime) {
        let since = vCPUs[vCPU].since.exchange(0, ordering: .acquiringAndReleasing)
        guard since != 0 else { return }
        let time = instant.nanoseconds(since: MonotonicTime(nanoseconds: since))
        vCPUs[vCPU].total.wrappingAdd(time, ordering: .relaxed)
        let allSince = lastBlocked.load(ordering: .relaxed)
        let before = blocked.wrappingSubtract(1, ordering: .acquiringAndReleasing).oldValue
        guard before == vCPUs.count else { return }
        let all = instant.nanoseconds(since: MonotonicTime(nanoseconds: allSince))
        overlapped.wrappingAdd(all, ordering: .relaxed)
    }

    // MARK: vCPUs that sleep in userfaultfd

    /// A vCPU sleeps in userfaultfd for a page; for the thread that has read its event.
    ///
    /// Its last page may have woken it already, and who did so may not have said so yet.
    func begin(_ vCPU: Int, on page: PageIndex, at instant: MonotonicTime) {
        end(vCPU, at: instant)
        begin(vCPU, at: instant)
        vCPUs[vCPU].page.store(page.rawValue, ordering: .releasing)
    }

    /// Pages are present, and whoever slept for them has been woken.
    func end(on pages: PageRange, at instant: MonotonicTime) {
        for (index, vCPU) in vCPUs.enumerated() {
            let page = vCPU.page.load(ordering: .acquiring)
            guard page >= pages.first.rawValue, page < pages.first.rawValue + pages.count,
                vCPU.page.compareExchange(
                    expected: page,
                    desired: -1,
                    ordering: .acquiringAndReleasing
                ).exchanged
            else { continue }
            end(index, at: instant)
        }
    }

    // MARK: Results

    /// How long each vCPU was blocked, in nanoseconds.
    package var perVCPU: [UInt64] { vCPUs.map { $0.total.load(ordering: .relaxed) } }

    /// How long all of them were blocked at the same time, in nanoseconds.
    package var overlappedNanoseconds: UInt64 { overlapped.load(ordering: .relaxed) }
}
