// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc

/// Owner of a range of mapped memory, unmapped when it goes out of scope.
///
/// The memory may change under its readers (a guest or another process writes it), so it is
/// handed out as a raw address and never as a `Span`: copy out first, then look.
@safe package struct Mapping: ~Copyable, @unchecked Sendable {
    // Sendable: an address and a size that never change; who touches the bytes, and when, is for
    // the owners of the contents to order (page map, cursors).

    /// First byte of the range; page-aligned.
    @unsafe package let base: UnsafeMutableRawPointer
    /// Length in bytes, a multiple of the page size.
    package let byteCount: Int

    /// What a mapping is for.
    package enum Kind {
        /// Private anonymous memory, reserved without being charged (`MAP_NORESERVE`).
        case anonymous
        /// A shared mapping of a file, from its beginning.
        case shared(CInt)
        /// A shared mapping of a file, from an offset on, which is a multiple of the page size.
        case sharedPart(CInt, offset: Int)
    }

    /// Maps readable and writable memory.
    ///
    /// - Parameters:
    ///   - kind: Anonymous memory or a descriptor to share.
    ///   - byteCount: Above zero, a multiple of the page size.
    /// - Throws: ``SystemError`` of mmap(2), such as `ENOMEM`.
    ///
    /// Kernel interface: mmap(2).
    package init(_ kind: Kind, byteCount: Int) throws(SystemError) {
        precondition(byteCount > 0 && byteCount % Int(getpagesize()) == 0)
        let (flags, fd, offset): (CInt, CInt, Int) =
            switch kind {
            case .anonymous: (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
            case .shared(let fd): (MAP_SHARED, fd, 0)
            case .sharedPart(let fd, let offset): (MAP_SHARED, fd, offset)
            }
        let address = unsafe mmap(nil, byteCount, PROT_READ | PROT_WRITE, flags, fd, offset)
        guard let base = unsafe address, unsafe base != MAP_FAILED else {
            throw SystemError(code: errno, operation: "mmap of \(byteCount) bytes")
        }
        unsafe self.base = base
        self.byteCount = byteCount
    }

    deinit {
        unsafe munmap(base, byteCount)
    }

    /// Host virtual address of the first byte.
    package var address: UInt { unsafe UInt(bitPattern: base) }

    /// Gives advice about a part of the mapping.
    ///
    /// - Parameters:
    ///   - advice: `MADV_…`, see madvise(2).
    ///   - offset: First byte, page-aligned.
    ///   - byteCount: Length; the part must lie in the mapping.
    /// - Throws: ``SystemError`` of madvise(2), such as `EINVAL` for advice the kernel does not
    ///   know.
    package func advise(_ advice: CInt, offset: Int, byteCount: Int) throws(SystemError) {
        precondition(offset >= 0 && byteCount >= 0 && offset <= self.byteCount - byteCount)
        if unsafe madvise(base + offset, byteCount, advice) < 0 {
            throw SystemError(code: errno, operation: "madvise(\(advice))")
        }
    }
}

extension Mapping {
    /// Keeps the kernel from backing the memory with transparent huge pages.
    ///
    /// A kernel built without them has nothing to switch off, and says `EINVAL`.
    package func disableHugePages() throws(SystemError) {
        do {
            try advise(MADV_NOHUGEPAGE, offset: 0, byteCount: byteCount)
        } catch {
            if error.code != EINVAL { throw error }
        }
    }

    /// Drops pages and what they hold: the next touch finds none.
    ///
    /// - Parameters:
    ///   - kind: What the memory is.
    ///   - offset: First byte, page-aligned.
    ///   - byteCount: Length; the part must lie in the mapping.
    /// - Throws: ``SystemError`` of madvise(2).
    ///
    /// Kernel interface: MADV_DONTNEED for anonymous memory; MADV_REMOVE for a file, which gets a
    /// hole.
    package func drop(_ kind: Dropped, offset: Int, byteCount: Int) throws(SystemError) {
        let advice =
            switch kind {
            case .anonymous: MADV_DONTNEED
            case .file: MADV_REMOVE
            }
        while true {
            do {
                return try advise(advice, offset: offset, byteCount: byteCount)
            } catch {
                guard error.code == EINTR || error.code == EAGAIN else { throw error }
            }
        }
    }

    /// What `drop(_:offset:byteCount:)` drops.
    package enum Dropped {
        /// Pages of this mapping.
        case anonymous
        /// Pages of the file behind a shared mapping.
        case file
    }

    /// Makes pages present, for writing where the mapping allows it, otherwise for reading.
    ///
    /// Sleeps in userfaultfd for pages that are missing there.
    ///
    /// - Parameters:
    ///   - offset: First byte, page-aligned.
    ///   - byteCount: Length; the part must lie in the mapping.
    /// - Throws: ``SystemError``, for example `EHWPOISON` for a page with a memory error.
    ///
    /// Kernel interface: MADV_POPULATE_WRITE, MADV_POPULATE_READ (Linux 5.14).
    package func populate(offset: Int, byteCount: Int) throws(SystemError) {
        var advice = MADV_POPULATE_WRITE
        while true {
            do {
                return try advise(advice, offset: offset, byteCount: byteCount)
            } catch {
                switch error.code {
                case EINTR, EAGAIN: continue
                case EINVAL where advice == MADV_POPULATE_WRITE: advice = MADV_POPULATE_READ
                default: throw error
                }
            }
        }
    }
}
