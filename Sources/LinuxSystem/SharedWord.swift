// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc
internal import Synchronization

/// A 32-bit word in memory that another process shares, and on which threads of both can sleep.
///
/// Safe from several threads at once. The other process may write anything into it at any time:
/// what is read here is a claim, to be read once and checked.
@safe package struct SharedWord: @unchecked Sendable {
    // Sendable: the only state is the atomic word, at an address that never moves.
    private let word: UnsafePointer<Atomic<UInt32>>

    /// - Parameter address: Divisible by 4, in a mapping that outlives this value.
    package init(at address: UnsafeMutableRawPointer) {
        precondition(UInt(bitPattern: address) % 4 == 0)
        unsafe word = UnsafePointer(address.assumingMemoryBound(to: Atomic<UInt32>.self))
    }

    /// The present value; what was written before its release is seen after it.
    package var acquired: UInt32 { unsafe word.pointee.load(ordering: .acquiring) }

    /// The present value, in one order with `store` and `exchange` for all threads and words.
    package var value: UInt32 { unsafe word.pointee.load(ordering: .sequentiallyConsistent) }

    /// Sets the value; releases what was written before.
    package func store(_ value: UInt32) {
        unsafe word.pointee.store(value, ordering: .sequentiallyConsistent)
    }

    /// Sets the value and returns the one before; releases what was written before.
    package func exchange(_ value: UInt32) -> UInt32 {
        unsafe word.pointee.exchange(value, ordering: .sequentiallyConsistent)
    }

    /// Sleeps while the word holds `expected`, for `timeout` at the longest.
    ///
    /// May return early (signal, spurious wake). Kernel interface: futex(2), FUTEX_WAIT.
    package func wait(while expected: UInt32, timeout: Duration) {
        let nanoseconds = timeout.wholeNanoseconds
        var limit = timespec(
            tv_sec: Int(nanoseconds / 1_000_000_000),
            tv_nsec: Int(nanoseconds % 1_000_000_000)
        )
        _ = unsafe clinux_shared_futex_wait(address, expected, &limit)
    }

    /// Wakes every thread that sleeps on the word, in whatever process.
    ///
    /// Kernel interface: futex(2), FUTEX_WAKE. Cost: about 400 ns when nobody sleeps.
    package func wakeAll() {
        _ = unsafe clinux_shared_futex_wake(address, .max)
    }

    private var address: UnsafePointer<UInt32> { unsafe UnsafePointer(OpaquePointer(word)) }
}

/// Tells the processor that the calling thread spins.
package func spinHint() { clinux_spin_hint() }
