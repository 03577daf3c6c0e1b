// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// Descriptors that one thread waits for again and again.
///
/// Cheaper than ``waitUntilReadable(_:timeout:)``, which tells the kernel each time what it waits
/// for; and where several threads wait for one descriptor, each with a set of its own, an event
/// wakes one of them, not all.
package struct ReadySet: ~Copyable {
    private let descriptor: FileDescriptor

    /// Who else is woken by what makes a descriptor readable.
    package enum Share: Sendable {
        /// Everyone who waits.
        case all
        /// Of those that wait in this way, one at least.
        case one
    }

    /// Nothing to wait for yet.
    ///
    /// Kernel interface: epoll_create1(2).
    package init() throws(SystemError) {
        descriptor = FileDescriptor(owning: try checked(clinux_epoll(), "epoll_create1"))
    }

    /// Waits for one more descriptor, which must stay open as long as the set is waited for.
    ///
    /// Kernel interface: epoll_ctl(2), `EPOLLEXCLUSIVE`.
    package func add(_ rawDescriptor: CInt, wakes share: Share) throws(SystemError) {
        let result = clinux_epoll_add(
            descriptor.rawValue,
            rawDescriptor,
            UInt64(rawDescriptor),
            share == .one ? 1 : 0
        )
        try checked(result, "epoll_ctl")
    }

    /// Sleeps until a descriptor is readable, closed or failed.
    ///
    /// - Returns: One of those that are; nil when a signal came.
    /// - Throws: ``SystemError`` of epoll_wait(2), apart from `EINTR`.
    ///
    /// Kernel interface: epoll_wait(2). Allocates nothing.
    package func wait() throws(SystemError) -> CInt? {
        var tag: UInt64 = 0
        let result = unsafe clinux_epoll_wait(descriptor.rawValue, &tag)
        if result == -CInt(EINTR) { return nil }
        try checked(result, "epoll_wait")
        return CInt(tag)
    }
}
