// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc

/// A file or block device that is read and written in place.
///
/// Every call is safe from several threads, but for one thread at a time where the page cache is
/// passed by.
package final class DiskFile: Sendable {
    /// Whether the kernel keeps what is read and written.
    package enum Caching: Sendable {
        /// In the page cache.
        case cached
        /// Not at all (`O_DIRECT`): bytes go to the device and come from it, in blocks of 4096.
        case direct
    }

    /// Size in bytes, when it was opened.
    package let byteCount: UInt64
    private let descriptor: FileDescriptor
    private let caching: Caching
    /// Through which bytes pass that must lie aligned.
    private let staging: Mapping

    private static let stagingByteCount = 1 << 16

    /// Opens an existing one.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - isReadOnly: Whether it will not be written.
    ///   - caching: Whether the kernel keeps its bytes.
    /// - Throws: ``SystemError`` of open(2): `EINVAL` where its filesystem cannot pass the page
    ///   cache by.
    ///
    /// Kernel interface: open(2), lseek(2) for the size.
    package init(
        opening path: String,
        isReadOnly: Bool,
        caching: Caching
    ) throws(SystemError) {
        let access = isReadOnly ? O_RDONLY : O_RDWR
        let result = retryingInterrupts {
            switch caching {
            case .cached: unsafe clinux_open(path, access)
            case .direct: unsafe clinux_open_direct(path, access)
            }
        }
        descriptor = FileDescriptor(owning: try checked(result, "open \(path)"))
        let end = lseek(descriptor.rawValue, 0, SEEK_END)
        guard end >= 0 else { throw SystemError(code: errno, operation: "lseek in \(path)") }
        byteCount = UInt64(end)
        self.caching = caching
        staging = try Mapping(.anonymous, byteCount: Self.stagingByteCount)
    }

    /// Fills all of a buffer.
    ///
    /// - Throws: ``SystemError`` of pread(2), and `EIO` where the file ends before.
    ///
    /// Kernel interface: pread(2).
    package func read(into bytes: inout [UInt8], at offset: UInt64) throws(SystemError) {
        let count = bytes.count
        try unsafe bytes.withUnsafeMutableBufferPointer { elements throws(SystemError) in
            let buffer = UnsafeMutableRawBufferPointer(elements)
            if caching == .cached { return try unsafe fill(buffer, at: offset) }
            let stage = unsafe UnsafeMutableRawBufferPointer(
                start: staging.base,
                count: staging.byteCount
            )
            for start in stride(from: 0, to: count, by: stage.count) {
                let length = min(stage.count, count - start)
                let piece = unsafe UnsafeMutableRawBufferPointer(rebasing: stage[..<length])
                try unsafe fill(piece, at: offset + UInt64(start))
                unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[start..<start + length])
                    .copyMemory(from: UnsafeRawBufferPointer(piece))
            }
        }
    }

    /// Writes all of some bytes.
    ///
    /// - Throws: ``SystemError`` of pwrite(2), for example `ENOSPC`.
    ///
    /// Kernel interface: pwrite(2).
    package func write(_ bytes: [UInt8], at offset: UInt64) throws(SystemError) {
        try unsafe bytes.withUnsafeBufferPointer { elements throws(SystemError) in
            let buffer = UnsafeRawBufferPointer(elements)
            if caching == .cached { return try unsafe store(buffer, at: offset) }
            for start in stride(from: 0, to: buffer.count, by: staging.byteCount) {
                let length = min(staging.byteCount, buffer.count - start)
                let piece = unsafe UnsafeMutableRawBufferPointer(
                    start: staging.base,
                    count: length
                )
                unsafe piece.copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: buffer[start..<start + length])
                )
                try unsafe store(UnsafeRawBufferPointer(piece), at: offset + UInt64(start))
            }
        }
    }

    /// Makes durable what has been written.
    ///
    /// - Throws: ``SystemError`` of fdatasync(2), such as `EIO`.
    ///
    /// Kernel interface: fdatasync(2).
    package func flush() throws(SystemError) {
        let fd = descriptor.rawValue
        try checked(
            retryingInterrupts { fdatasync(fd) < 0 ? -errno : 0 },
            "fdatasync"
        )
    }

    private func fill(
        _ buffer: UnsafeMutableRawBufferPointer,
        at offset: UInt64
    ) throws(SystemError) {
        try unsafe descriptor.readAll(into: buffer, at: try Self.position(offset), of: "a disk")
    }

    private func store(
        _ bytes: UnsafeRawBufferPointer,
        at offset: UInt64
    ) throws(SystemError) {
        try unsafe descriptor.writeAll(bytes, at: try Self.position(offset), of: "a disk")
    }

    /// What the kernel takes for a position; no file is larger.
    private static func position(_ offset: UInt64) throws(SystemError) -> Int {
        guard let position = Int(exactly: offset) else {
            throw SystemError(code: EINVAL, operation: "a position in a disk")
        }
        return position
    }
}
