// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// A touch of an absent page, as userfaultfd reports it.
package struct UserfaultEvent: Equatable, Sendable {
    /// Host virtual address; the kernel rounds it down to a page.
    package let address: UInt
    /// The task that waits, as the kernel numbers it.
    package let threadID: CInt
}

/// Room for the events that one read takes.
///
/// Allocated once, owned by one thread.
@safe package struct FaultBatch: ~Copyable {
    private let messages: UnsafeMutableBufferPointer<uffd_msg>

    /// Events in the batch.
    package private(set) var count = 0

    /// - Parameter capacity: Events that one read takes at the most; above zero.
    package init(capacity: Int) {
        precondition(capacity > 0)
        unsafe messages = .allocate(capacity: capacity)
        unsafe messages.initialize(repeating: uffd_msg())
    }

    deinit {
        unsafe messages.deallocate()
    }

    /// Event `index`, below `count`; nil for one that is not a page fault.
    package subscript(index: Int) -> UserfaultEvent? {
        precondition(index >= 0 && index < count, "no such event")
        let message = unsafe messages[index]
        guard message.event == UInt8(UFFD_EVENT_PAGEFAULT) else { return nil }
        return unsafe UserfaultEvent(
            address: UInt(message.arg.pagefault.address),
            threadID: CInt(bitPattern: message.arg.pagefault.feat.ptid)
        )
    }

    mutating func fill(_ read: (UnsafeMutableRawBufferPointer) -> Int) -> Int {
        let result = unsafe read(UnsafeMutableRawBufferPointer(messages))
        count = max(0, result) / MemoryLayout<uffd_msg>.stride
        return result
    }
}
