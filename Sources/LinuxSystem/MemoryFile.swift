// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc

/// A memfd: anonymous memory with a descriptor, which can be mapped more than once.
package struct MemoryFile: ~Copyable, Sendable {
    /// The memfd.
    package let descriptor: FileDescriptor
    /// Size in bytes, fixed by a seal.
    package let byteCount: Int

    /// What a file is made of.
    package enum Pages: Sendable {
        /// Pages of the base size.
        case ordinary
        /// Huge pages of 2 MiB, which somebody has reserved (`vm.nr_hugepages`).
        case huge

        /// Bytes of a page.
        package var byteCount: Int {
            switch self {
            case .ordinary: Host.pageByteCount
            case .huge: 2 << 20
            }
        }
    }

    /// Creates a file of holes whose size can no longer change.
    ///
    /// - Parameters:
    ///   - name: Appears in /proc/self/maps.
    ///   - byteCount: Above zero, a multiple of the page size.
    ///   - pages: What it is made of.
    /// - Throws: ``SystemError`` of any of the three calls.
    ///
    /// Kernel interface: memfd_create(2), ftruncate(2), F_ADD_SEALS.
    package init(
        name: String,
        byteCount: Int,
        pages: Pages = .ordinary
    ) throws(SystemError) {
        let result =
            switch pages {
            case .ordinary: unsafe clinux_memfd_create(name)
            case .huge: unsafe clinux_memfd_create_huge(name)
            }
        let fd = try checked(result, "memfd_create")
        let descriptor = FileDescriptor(owning: fd)
        guard ftruncate(descriptor.rawValue, byteCount) == 0 else {
            throw SystemError(code: errno, operation: "ftruncate of a memfd to \(byteCount) bytes")
        }
        try checked(clinux_seal_size(descriptor.rawValue), "fcntl(F_ADD_SEALS)")
        self.descriptor = descriptor
        self.byteCount = byteCount
    }

    /// Writes into the file, past all mappings of it.
    ///
    /// - Parameters:
    ///   - bytes: Must not change during the call.
    ///   - offset: Where the first byte goes, not negative; all of them must fit.
    /// - Throws: ``SystemError``, for example `ENOMEM` where there is no memory left, and `EINVAL`
    ///   for huge pages, whose files cannot be written.
    ///
    /// Kernel interface: pwrite(2). The kernel lets one thread at a time write to a file.
    package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(SystemError) {
        try unsafe descriptor.writeAll(bytes, at: offset, of: "a memfd")
    }

    /// Reads from the file, past all mappings of it.
    ///
    /// - Parameters:
    ///   - buffer: Filled whole.
    ///   - offset: Where the first byte lies; all of them must be in the file.
    /// - Throws: ``SystemError``, for example `EIO`.
    ///
    /// Kernel interface: pread(2).
    package func read(
        into buffer: UnsafeMutableRawBufferPointer,
        at offset: Int
    ) throws(SystemError) {
        try unsafe descriptor.readAll(into: buffer, at: offset, of: "a memfd")
    }

    /// Takes over a descriptor that another process made; nil unless it is a memfd of exactly the
    /// right size, sealed so that nobody can change it.
    ///
    /// Only then a mapping cannot be cut short under its reader.
    ///
    /// - Parameters:
    ///   - descriptor: Anything at all.
    ///   - byteCount: The size it has to have.
    ///
    /// Kernel interface: F_GET_SEALS, fstat(2).
    package init?(verifying descriptor: consuming FileDescriptor, byteCount: Int) {
        // The seals first: before them the size could still change.
        guard clinux_size_is_sealed(descriptor.rawValue) == 1 else { return nil }
        var status = stat()
        guard unsafe fstat(descriptor.rawValue, &status) == 0, status.st_size == byteCount else {
            return nil
        }
        self.descriptor = descriptor
        self.byteCount = byteCount
    }
}
