// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Synchronization

/// A value that one thread of this process uses at a time: for a few instructions, or one system
/// call.
///
/// No system call unless two threads want it at once. `Synchronization.Mutex` in all but one thing:
/// ThreadSanitizer sees what this orders, also once threads have to wait for each other.
@safe package final class Locked<Value: ~Copyable>: @unchecked Sendable {
    // Sendable: the value is only touched by the thread that has taken the word, an atomic at an
    // address that never moves.
    private let word: UnsafeMutablePointer<Atomic<UInt32>>
    private var value: Value

    private static var free: UInt32 { 0 }
    private static var taken: UInt32 { 1 }
    /// Taken, and somebody may sleep.
    private static var wanted: UInt32 { 2 }

    /// Nobody uses the value.
    package init(_ value: consuming sending Value) {
        self.value = value
        unsafe word = .allocate(capacity: 1)
        unsafe word.initialize(to: Atomic(Self.free))
    }

    deinit {
        unsafe word.deinitialize(count: 1)
        unsafe word.deallocate()
    }

    /// Uses the value while no other thread does.
    ///
    /// - Parameter body: Must not use the same value once more.
    /// - Returns: What it returns.
    /// - Throws: What it throws.
    package func withLock<Result: ~Copyable, Failure>(
        _ body: (inout Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        lock()
        defer { unlock() }
        return try body(&value)
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
            // One is enough: it marks the word as wanted again.
            _ = unsafe clinux_futex_wake(UnsafePointer<UInt32>(OpaquePointer(word)), 1)
        }
    }
}
