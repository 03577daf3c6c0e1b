// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc

/// Appends lines to a file, a pipe or a socket, and never waits for whoever reads them.
///
/// A line that finds no room, or no reader any more, is dropped and counted. For one thread.
package struct LineOutput: ~Copyable, Sendable {
    /// The longest line: pipes take so much whole or not at all (`PIPE_BUF`).
    package static let mostBytes = 4096

    private let descriptor: FileDescriptor
    private var isTorn = false

    /// Lines that were not written, or not whole.
    package private(set) var droppedCount = 0

    /// Appends to a file, which is created where there is none.
    ///
    /// - Parameter path: A file, or a pipe that somebody reads.
    /// - Throws: ``SystemError`` of open(2): `ENXIO` for a pipe that nobody reads.
    package init(appendingTo path: String) throws(SystemError) {
        let fd = retryingInterrupts { unsafe clinux_open_appending(path, O_NONBLOCK) }
        descriptor = FileDescriptor(owning: try checked(fd, "open \(path)"))
    }

    /// Appends to what a descriptor of this process leads to, which stays as it is.
    ///
    /// Where the kernel permits it is opened anew: others who share the descriptor, such as a
    /// shell, must not find it non-blocking. A socket cannot be opened anew; it becomes so.
    ///
    /// - Parameter number: A descriptor that somebody else owns.
    /// - Throws: `EBADF` when there is no such descriptor, or it is not for writing.
    ///
    /// Kernel interface: /proc/self/fd, or dup(2) and `O_NONBLOCK`.
    package init(writingTo number: CInt) throws(SystemError) {
        descriptor = try Self.descriptor(writingTo: number)
    }

    private static func descriptor(writingTo number: CInt) throws(SystemError) -> FileDescriptor {
        guard clinux_is_writable(number) == 1 else {
            throw SystemError(code: EBADF, operation: "write to descriptor \(number)")
        }
        let flags = O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY
        if let own = try? FileDescriptor(opening: "/proc/self/fd/\(number)", flags: flags) {
            return own
        }
        let copy = dup(number)
        guard copy >= 0 else { throw SystemError(code: errno, operation: "dup") }
        let own = FileDescriptor(owning: copy)
        try checked(clinux_set_nonblocking(copy, 1), "fcntl(F_SETFL)")
        return own
    }

    /// Writes a line with one system call, or drops it.
    ///
    /// - Parameter line: Without the newline, which is added; at most ``mostBytes`` with it.
    ///
    /// Kernel interface: write(2). `SIGPIPE` must be ignored by the process.
    package mutating func write(_ line: some Sequence<UInt8>) {
        let newline = UInt8(ascii: "\n")
        // Whatever is left of a torn line ends here: the next one is whole again.
        let bytes = (isTorn ? [newline] : []) + Array(line) + [newline]
        guard bytes.count <= Self.mostBytes else {
            droppedCount += 1
            return
        }
        var count: Int
        repeat {
            count = unsafe bytes.withUnsafeBytes { bytes in
                unsafe Glibc.write(descriptor.rawValue, bytes.baseAddress, bytes.count)
            }
        } while count < 0 && errno == EINTR
        if count == bytes.count {
            isTorn = false
        } else {
            droppedCount += 1
            isTorn = isTorn || count > 0
        }
    }
}
