// SPDX-License-Identifier: Apache-2.0

/// What a device knows of a split virtqueue; a new value is the state after a reset.
package struct VirtqueueState: Equatable, Sendable {
    /// Entries.
    package var size: UInt32 = 0
    /// Guest physical address of the descriptor table.
    package var descriptors: UInt64 = 0
    /// Guest physical address of the ring the driver writes.
    package var available: UInt64 = 0
    /// Guest physical address of the ring the device writes.
    package var used: UInt64 = 0
    /// Whether the driver has said that it can be used.
    package var isReady = false
    /// Index of the request to take next, as the ring counts.
    package var nextAvailable: UInt16 = 0
    /// Index of the request to give back next.
    package var nextUsed: UInt16 = 0

    /// Entries that a queue of any device has at the most.
    package static let mostEntries: UInt32 = 128

    /// After a reset.
    package init() {}

    /// What is wrong with size and addresses; nil where a queue can be used as far as they go.
    ///
    /// Virtual I/O Device 1.2, section 2.7.
    package var defect: VirtioDefect? {
        guard size > 0, size <= Self.mostEntries, size & (size - 1) == 0 else {
            return .queueSize(size)
        }
        if descriptors % 16 != 0 { return .alignment(descriptors) }
        if available % 2 != 0 { return .alignment(available) }
        if used % 4 != 0 { return .alignment(used) }
        return nil
    }
}
