// SPDX-License-Identifier: Apache-2.0

internal import MigrationWire
private import Synchronization

/// Who touched absent pages: counts of userfaultfd events.
///
/// Safe from all fault readers.
final class FaultSources: Sendable {
    private let vCPUs = Atomic<Int>(0)
    private let others = Atomic<Int>(0)

    /// Counts one event.
    func count(_ waiter: RequestClass) {
        switch waiter {
        case .vCPU: vCPUs.wrappingAdd(1, ordering: .relaxed)
        case .kernelOrDevice, .prefetch, .background: others.wrappingAdd(1, ordering: .relaxed)
        }
    }

    /// Events of vCPU threads.
    var byVCPUs: Int { vCPUs.load(ordering: .relaxed) }
    /// Events of all other threads.
    var byOthers: Int { others.load(ordering: .relaxed) }
}
