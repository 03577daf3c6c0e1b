// SPDX-License-Identifier: Apache-2.0

internal import MigrationWire
private import Synchronization

/// Who touched absent pages, and what was done about it.
///
/// Safe from all threads.
package final class FaultCounters: Sendable {
    private let userfaultsByVCPUs = Atomic<Int>(0)
    private let userfaultsByOthers = Atomic<Int>(0)
    private let exits = Atomic<Int>(0)
    private let exitsAwaited = Atomic<Int>(0)
    private let exitsOnInstalled = Atomic<Int>(0)
    private let continued = Atomic<Int>(0)
    private let populated = Atomic<Int>(0)

    /// A userfaultfd event was read.
    func countUserfault(by waiter: RequestClass) {
        switch waiter {
        case .vCPU: userfaultsByVCPUs.wrappingAdd(1, ordering: .relaxed)
        case .kernelOrDevice, .prefetch, .background:
            userfaultsByOthers.wrappingAdd(1, ordering: .relaxed)
        }
    }

    /// A vCPU left KVM_RUN for a page.
    func countExit() { exits.wrappingAdd(1, ordering: .relaxed) }

    /// An exit was for a page that another thread was fetching.
    func countAwaited() { exitsAwaited.wrappingAdd(1, ordering: .relaxed) }

    /// An exit was for a page that was installed before.
    func countOnInstalled() { exitsOnInstalled.wrappingAdd(1, ordering: .relaxed) }

    /// An installed page was mapped again from its page cache.
    func countContinued() { continued.wrappingAdd(1, ordering: .relaxed) }

    /// An installed page was populated again.
    func countPopulated() { populated.wrappingAdd(1, ordering: .relaxed) }

    /// The counts so far.
    package var totals: FaultTotals {
        FaultTotals(
            userfaultsByVCPUs: userfaultsByVCPUs.load(ordering: .relaxed),
            userfaultsByOthers: userfaultsByOthers.load(ordering: .relaxed),
            exits: exits.load(ordering: .relaxed),
            exitsAwaited: exitsAwaited.load(ordering: .relaxed),
            exitsOnInstalled: exitsOnInstalled.load(ordering: .relaxed),
            continued: continued.load(ordering: .relaxed),
            populated: populated.load(ordering: .relaxed)
        )
    }
}

/// Counts of faults, by how they came and what was done.
package struct FaultTotals {
    /// Userfaultfd events of vCPU threads.
    package let userfaultsByVCPUs: Int
    /// Userfaultfd events of all other threads.
    package let userfaultsByOthers: Int
    /// Memory-fault exits.
    package let exits: Int
    /// Exits on pages that another thread was fetching.
    package let exitsAwaited: Int
    /// Exits on pages installed before.
    package let exitsOnInstalled: Int
    /// Installed pages that were mapped again from their page cache.
    package let continued: Int
    /// Installed pages that were populated again.
    package let populated: Int
}
