// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc
internal import Synchronization

/// A 32-bit word that threads of this process can sleep on until it changes.
///
/// Safe from several threads at once. Every change that sleepers must see ends with `wakeAll()`.
@safe package final class FutexWord: @unchecked Sendable {
    // Sendable: the only state is the atomic word, at an address that never moves.
    private let word: UnsafeMutablePointer<Atomic<UInt32>>

    /// - Parameter initial: First value of the word.
    package init(_ initial: UInt32) {
        unsafe word = .allocate(capacity: 1)
        unsafe word.initialize(to: Atomic(initial))
    }

    deinit {
        unsafe word.deinitialize(count: 1)
        unsafe word.deallocate()
    }

    /// The present value, in one order with `store` for all threads and words.
    package var value: UInt32 { unsafe word.pointee.load(ordering: .sequentiallyConsistent) }

    /// Sets the value and wakes every sleeper.
    package func store(_ value: UInt32) {
        unsafe word.pointee.store(value, ordering: .sequentiallyConsistent)
        wakeAll()
    }

    /// Adds to the value (wrapping) and wakes every sleeper; returns the new value.
    @discardableResult
    package func add(_ amount: UInt32) -> UInt32 {
        let result = unsafe word.pointee.wrappingAdd(amount, ordering: .acquiringAndReleasing)
        wakeAll()
        return result.newValue
    }

    /// Takes one off the value (wrapping) and wakes every sleeper; returns the new value.
    @discardableResult
    package func decrement() -> UInt32 { add(.max) }

    /// Sleeps while the word holds `expected`, for `timeout` at the longest.
    ///
    /// May return early (signal, spurious wake): look at `value` again.
    /// Kernel interface: futex(2), FUTEX_WAIT_PRIVATE.
    package func wait(while expected: UInt32, timeout: Duration?) {
        let address = unsafe UnsafePointer<UInt32>(OpaquePointer(word))
        if let timeout {
            let nanoseconds = timeout.wholeNanoseconds
            var limit = timespec(
                tv_sec: Int(nanoseconds / 1_000_000_000),
                tv_nsec: Int(nanoseconds % 1_000_000_000)
            )
            _ = unsafe clinux_futex_wait(address, expected, &limit)
        } else {
            _ = unsafe clinux_futex_wait(address, expected, nil)
        }
    }

    private func wakeAll() {
        _ = unsafe clinux_futex_wake(UnsafePointer<UInt32>(OpaquePointer(word)), .max)
    }
}
