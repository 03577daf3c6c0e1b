// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc

/// A flag that a thread can wait for with poll(2): set by `signal()`, cleared by `clear()`.
///
/// All operations are safe from several threads at once.
package final class EventFD: Sendable {
    private let descriptor: FileDescriptor

    /// Kernel interface: eventfd(2).
    package init() throws(SystemError) {
        descriptor = FileDescriptor(owning: try checked(clinux_eventfd(), "eventfd"))
    }

    /// For a poll set; readable while the flag is set.
    package var rawDescriptor: CInt { descriptor.rawValue }

    /// Sets the flag; everyone who polls is woken.
    package func signal() {
        var one: UInt64 = 1
        // The only failure is a full counter, and then the flag is set already.
        _ = unsafe write(descriptor.rawValue, &one, 8)
    }

    /// Clears the flag.
    package func clear() {
        var count: UInt64 = 0
        _ = unsafe read(descriptor.rawValue, &count, 8)
    }
}
