// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// Reads and writes at positions, whole or not at all.
extension FileDescriptor {
    /// Fills all of a buffer.
    ///
    /// - Parameters:
    ///   - buffer: Gets the bytes.
    ///   - offset: Where the first byte lies, not negative.
    ///   - name: What the file is, for the error.
    /// - Throws: ``SystemError`` of pread(2), and `EIO` where the file ends before.
    ///
    /// Kernel interface: pread(2).
    func readAll(
        into buffer: UnsafeMutableRawBufferPointer,
        at offset: Int,
        of name: StaticString
    ) throws(SystemError) {
        var done = 0
        while done < buffer.count {
            let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
            let count = unsafe pread(rawValue, rest.baseAddress, rest.count, offset + done)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                throw SystemError(code: count < 0 ? errno : EIO, operation: "pread of \(name)")
            }
            done += count
        }
    }

    /// Writes all of some bytes.
    ///
    /// - Parameters:
    ///   - bytes: Must not change during the call.
    ///   - offset: Where the first byte goes, not negative.
    ///   - name: What the file is, for the error.
    /// - Throws: ``SystemError`` of pwrite(2), and `ENOSPC` where it takes no more.
    ///
    /// Kernel interface: pwrite(2).
    func writeAll(
        _ bytes: UnsafeRawBufferPointer,
        at offset: Int,
        of name: StaticString
    ) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count = unsafe pwrite(rawValue, rest.baseAddress, rest.count, offset + done)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                throw SystemError(code: count < 0 ? errno : ENOSPC, operation: "pwrite of \(name)")
            }
            done += count
        }
    }
}
