// SPDX-License-Identifier: Apache-2.0

package import Foundation
internal import Glibc
package import LinuxSystem

/// Files that are written whole: a reader sees all of one, or what was there before.
package enum OutputFile {
    /// Writes a file by writing another beside it and renaming that.
    ///
    /// - Parameters:
    ///   - path: A regular file, or a name that is free. Its folder must exist.
    ///   - data: Its new contents; mode 0644.
    /// - Throws: ``SystemError``; a file that was there before is then as it was.
    ///
    /// Kernel interface: rename(2).
    package static func replace(_ path: String, with data: Data) throws(SystemError) {
        let temporary = try Temporary(beside: path)
        do throws(SystemError) {
            // mkstemp's 0600 would keep it from everyone but the (often root) user.
            guard fchmod(temporary.descriptor.rawValue, 0o644) == 0 else {
                throw SystemError(code: errno, operation: "fchmod")
            }
            try write(data, to: temporary.descriptor)
            guard unsafe rename(temporary.name, path) == 0 else {
                throw SystemError(code: errno, operation: "rename")
            }
        } catch {
            temporary.remove()
            throw error
        }
    }

    /// Writes to what is no regular file, such as /dev/stdout or a pipe, as it is.
    package static func fill(_ path: String, with data: Data) throws(SystemError) {
        try write(data, to: FileDescriptor(opening: path, flags: O_WRONLY | O_TRUNC))
    }

    /// Whether a path is free or names a regular file; a rename would do away with anything else.
    package static func isReplaceable(_ path: String) -> Bool {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return true }
        return status.st_mode & S_IFMT == S_IFREG
    }

    /// Finds out early whether a file could be written, and leaves everything as it is.
    ///
    /// - Throws: ``SystemError`` that writing would fail with.
    package static func probe(_ path: String) throws(SystemError) {
        if isReplaceable(path) {
            try Temporary(beside: path).remove()
            return
        }
        var status = stat()
        let isThere = unsafe stat(path, &status) == 0
        guard isThere, status.st_mode & S_IFMT != S_IFDIR, unsafe access(path, W_OK) == 0 else {
            let code = isThere && status.st_mode & S_IFMT == S_IFDIR ? EISDIR : errno
            throw SystemError(code: code, operation: "open \(path)")
        }
    }

    private static func write(
        _ data: Data,
        to file: borrowing FileDescriptor
    ) throws(SystemError) {
        var rest = Array(data)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { bytes in
                unsafe Glibc.write(file.rawValue, bytes.baseAddress, bytes.count)
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw SystemError(code: errno, operation: "write") }
            rest = rest.dropFirst(count)
        }
    }
}

/// A file in the folder of another, since a rename cannot cross file systems.
private struct Temporary: ~Copyable {
    let descriptor: FileDescriptor
    let name: String

    init(beside path: String) throws(SystemError) {
        var template = Array("\(path).XXXXXX".utf8CString)
        let number = unsafe template.withUnsafeMutableBufferPointer { buffer in
            unsafe buffer.baseAddress.map { unsafe mkstemp($0) } ?? -1
        }
        guard number >= 0 else {
            throw SystemError(code: errno, operation: "create a file beside \(path)")
        }
        descriptor = FileDescriptor(owning: number)
        name = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    func remove() { _ = unsafe unlink(name) }
}
