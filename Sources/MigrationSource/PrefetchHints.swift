// SPDX-License-Identifier: Apache-2.0

private import Synchronization

/// What the urgent servers ask the stream to send next: at most one window for each of them.
///
/// Safe from any number of threads, without a lock. A window that comes before the last one was
/// taken replaces it: its pages were close to being requested, and now these are closer.
@safe final class PrefetchHints: @unchecked Sendable {
    // Sendable: every slot is only ever touched as an atomic, at an address that never moves.
    private let slots: UnsafeMutablePointer<Atomic<UInt64>>
    private let pending = Atomic<Int>(0)

    private static let slotCount = 16

    /// No windows.
    init() {
        unsafe slots = .allocate(capacity: Self.slotCount)
        for index in 0..<Self.slotCount {
            unsafe (slots + index).initialize(to: Atomic(0))
        }
    }

    deinit {
        unsafe slots.deinitialize(count: Self.slotCount)
        unsafe slots.deallocate()
    }

    /// Leaves a window for the stream.
    ///
    /// - Parameters:
    ///   - window: What should be sent.
    ///   - lane: Index of the urgent lane whose requests led to it.
    func post(_ window: PrefetchWindow, from lane: Int) {
        // Pairs with the exchange in `take()`.
        let before = unsafe slots[lane % Self.slotCount].exchange(
            window.packed,
            ordering: .acquiringAndReleasing
        )
        if before == 0 { pending.wrappingAdd(1, ordering: .releasing) }
    }

    /// Takes one window; nil when there is none.
    func take() -> PrefetchWindow? {
        guard pending.load(ordering: .acquiring) > 0 else { return nil }
        for index in 0..<Self.slotCount {
            let packed = unsafe slots[index].exchange(0, ordering: .acquiringAndReleasing)
            guard packed != 0 else { continue }
            pending.wrappingSubtract(1, ordering: .relaxed)
            return PrefetchWindow(packed: packed)
        }
        return nil
    }
}
