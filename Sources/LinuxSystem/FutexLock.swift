// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Synchronization

/// A lock for a few instructions, or one system call, that several threads of this process want.
///
/// No system call unless two threads want it at once. ThreadSanitizer sees what it orders, which
/// it does not of `Synchronization.Mutex` once threads have to wait for each other.
@safe package final class FutexLock: @unchecked Sendable {
    // Sendable: the only state is the atomic word, at an address that never moves.
    private let word: UnsafeMutablePointer<Atomic<UInt32>>

    private static let free: UInt32 = 0
    private static let taken: UInt32 = 1
    /// Taken, and somebody may sleep.
    private static let wanted: UInt32 = 2

    /// A free lock.
    package init() {
        unsafe word = .allocate(capacity: 1)
        unsafe word.initialize(to: Atomic(Self.free))
    }

    deinit {
        unsafe word.deinitialize(count: 1)
        unsafe word.deallocate()
    }

    /// Runs something that no other thread may run meanwhile.
    ///
    /// - Parameter body: Must not take the same lock.
    /// - Returns: What it returns.
    /// - Throws: What it throws.
    package func withLock<Result: ~Copyable, Failure>(
        _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        lock()
        defer { unlock() }
        return try body()
    }

    private func lock() {
        let (isTaken, _) = unsafe word.pointee.compareExchange(
            expected: Self.free,
            desired: Self.taken,
            ordering: .acquiring
        )
        if isTaken { return }
        let address = unsafe UnsafePointer<UInt32>(OpaquePointer(word))
        while unsafe word.pointee.exchange(Self.wanted, ordering: .acquiring) != Self.free {
            _ = unsafe clinux_futex_wait(address, Self.wanted, nil)
        }
    }

    private func unlock() {
        if unsafe word.pointee.exchange(Self.free, ordering: .releasing) == Self.wanted {
            // One is enough: it marks the lock as wanted again.
            _ = unsafe clinux_futex_wake(UnsafePointer<UInt32>(OpaquePointer(word)), 1)
        }
    }
}
