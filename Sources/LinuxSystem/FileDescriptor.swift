// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc

/// Sole owner of a file descriptor, which it closes once when it goes out of scope.
///
/// Operations on the raw number are safe from several threads, as the kernel's are.
package struct FileDescriptor: ~Copyable, Sendable {
    /// The number, valid as long as this value lives.
    ///
    /// Never store it elsewhere.
    package let rawValue: CInt

    /// Takes ownership of an open descriptor.
    package init(owning rawValue: CInt) {
        precondition(rawValue >= 0, "not a descriptor")
        self.rawValue = rawValue
    }

    /// Opens a path, close-on-exec.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - flags: `O_RDONLY`, `O_RDWR` and so on, see open(2).
    /// - Throws: ``SystemError`` of open(2), such as `ENOENT` or `EACCES`.
    package init(opening path: String, flags: CInt) throws(SystemError) {
        let result = retryingInterrupts { unsafe clinux_open(path, flags) }
        self.init(owning: try checked(result, "open \(path)"))
    }

    deinit {
        // A second close of a number means someone else's descriptor was closed: never go on.
        if close(rawValue) < 0 { precondition(errno != EBADF, "descriptor closed twice") }
    }
}
