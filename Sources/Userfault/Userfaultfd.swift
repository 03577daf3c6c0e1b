// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc
package import LinuxSystem

/// A userfaultfd: whoever touches an absent page of its ranges sleeps until the page is installed.
///
/// All operations are safe from several threads at once.
package final class Userfaultfd: Sendable {
    private let descriptor: FileDescriptor

    /// Which touches of a range are reported.
    package enum Mode: Sendable {
        /// Of pages that do not exist: private anonymous memory.
        case missing
        /// Also of pages that exist in the page cache but are not mapped: memfd.
        case missingAndMinor
    }

    /// Whether an install wakes who sleeps in its range.
    package enum Wake: Sendable {
        /// At once.
        case now
        /// Not by itself: the caller knows who sleeps, and wakes them.
        case later
    }

    /// Opens a userfaultfd that also sees the kernel's own touches, KVM's among them.
    ///
    /// - Parameter mode: What ranges are going to be registered for.
    /// - Throws: ``UserfaultUnavailable`` with cause and remedy.
    ///
    /// Kernel interface: /dev/userfaultfd (Linux 6.1), else userfaultfd(2); ioctl(UFFDIO_API).
    package init(for mode: Mode) throws(UserfaultUnavailable) {
        descriptor = FileDescriptor(owning: try Self.open())
        var api = uffdio_api()
        api.api = UFFD_API
        api.features = CLINUX_UFFD_FEATURE_THREAD_ID
        if case .missingAndMinor = mode {
            api.features |= CLINUX_UFFD_FEATURE_MISSING_SHMEM | CLINUX_UFFD_FEATURE_MINOR_SHMEM
        }
        let result = unsafe clinux_ioctl(descriptor.rawValue, CLINUX_UFFDIO_API, &api)
        guard result >= 0 else { throw .features(mode, code: -result) }
    }

    private static func open() throws(UserfaultUnavailable) -> CInt {
        let device = unsafe clinux_open("/dev/userfaultfd", O_RDWR)
        if device >= 0 {
            defer { close(device) }
            let flags = UInt(O_CLOEXEC | O_NONBLOCK)
            let fd = clinux_ioctl_value(device, CLINUX_USERFAULTFD_IOC_NEW, flags)
            if fd >= 0 { return fd }
        }
        let fd = clinux_userfaultfd(0)
        switch -fd {
        case ...0: return fd
        case ENOSYS: throw .kernel
        case EPERM: throw .permission(device: -device)
        case let code: throw .system(SystemError(code: code, operation: "userfaultfd"))
        }
    }

    // MARK: Ranges

    /// Reports touches of absent pages from now on.
    ///
    /// - Parameters:
    ///   - address: Host virtual address of the first byte, page-aligned.
    ///   - byteCount: A multiple of the page size.
    ///   - mode: Which touches.
    /// - Throws: ``SystemError``, for example `EBUSY` for a range registered elsewhere.
    ///
    /// Kernel interface: ioctl(UFFDIO_REGISTER).
    package func register(address: UInt, byteCount: Int, mode: Mode) throws(SystemError) {
        var request = uffdio_register()
        request.range = range(address, byteCount)
        request.mode = CLINUX_UFFD_REGISTER_MISSING
        if case .missingAndMinor = mode { request.mode |= CLINUX_UFFD_REGISTER_MINOR }
        let result = unsafe clinux_ioctl(descriptor.rawValue, CLINUX_UFFDIO_REGISTER, &request)
        try checked(result, "ioctl(UFFDIO_REGISTER)")
    }

    /// Ends the reports; whoever sleeps in the range is woken.
    ///
    /// Kernel: ioctl(UFFDIO_UNREGISTER).
    package func unregister(address: UInt, byteCount: Int) throws(SystemError) {
        var request = range(address, byteCount)
        let result = unsafe clinux_ioctl(descriptor.rawValue, CLINUX_UFFDIO_UNREGISTER, &request)
        try checked(result, "ioctl(UFFDIO_UNREGISTER)")
    }

    // MARK: Events

    /// For a poll set; readable while events wait.
    package var rawDescriptor: CInt { descriptor.rawValue }

    /// Takes the events that wait, without blocking.
    ///
    /// - Parameter batch: Is filled with page faults; empty when there were none after all, which
    ///   happens when a page came between poll and read.
    /// - Throws: ``SystemError``, apart from `EAGAIN` and `EINTR`.
    ///
    /// Kernel interface: read(2) of `struct uffd_msg`.
    package func read(into batch: inout FaultBatch) throws(SystemError) {
        let result = unsafe batch.fill { buffer in
            let count = unsafe Glibc.read(descriptor.rawValue, buffer.baseAddress, buffer.count)
            return count < 0 ? -Int(errno) : count
        }
        switch result {
        case 0...: return
        case -Int(EAGAIN), -Int(EINTR): return
        default: throw SystemError(code: CInt(-result), operation: "read(userfaultfd)")
        }
    }

    // MARK: Installing

    /// Copies pages into a range where they are missing.
    ///
    /// The kernel copies before it publishes, so nobody sees half a page.
    ///
    /// - Parameters:
    ///   - contents: Whole pages; they must not change during the call.
    ///   - address: Host virtual address of the first page, page-aligned, in a registered range.
    ///   - wake: Whether who waits for the pages is woken.
    /// - Returns: What became of it.
    /// - Throws: ``SystemError`` for an unexpected errno, for example `ENOENT` or `ESRCH`.
    ///
    /// Kernel interface: ioctl(UFFDIO_COPY). Cost: one system call, 3 µs a page.
    package func copy(
        _ contents: UnsafeRawBufferPointer,
        to address: UInt,
        _ wake: Wake = .now
    ) throws(SystemError) -> InstallOutcome {
        var request = uffdio_copy()
        request.dst = UInt64(address)
        request.src = UInt64(UInt(bitPattern: contents.baseAddress))
        request.len = UInt64(contents.count)
        request.mode = wake == .now ? 0 : CLINUX_UFFD_COPY_DONTWAKE
        let result = unsafe clinux_ioctl(descriptor.rawValue, CLINUX_UFFDIO_COPY, &request)
        return try outcome(result, request.copy, "ioctl(UFFDIO_COPY)")
    }

    /// Makes missing pages of private anonymous memory present as zero pages.
    ///
    /// Costs no memory until a page is written.
    /// Kernel interface: ioctl(UFFDIO_ZEROPAGE).
    package func zero(
        address: UInt,
        byteCount: Int,
        _ wake: Wake = .now
    ) throws(SystemError) -> InstallOutcome {
        var request = uffdio_zeropage()
        request.range = range(address, byteCount)
        request.mode = wake == .now ? 0 : CLINUX_UFFD_ZEROPAGE_DONTWAKE
        let result = unsafe clinux_ioctl(descriptor.rawValue, CLINUX_UFFDIO_ZEROPAGE, &request)
        return try outcome(result, request.zeropage, "ioctl(UFFDIO_ZEROPAGE)")
    }

    /// Maps pages that are in the page cache of a memfd already.
    ///
    /// Kernel interface: ioctl(UFFDIO_CONTINUE).
    package func `continue`(
        address: UInt,
        byteCount: Int,
        _ wake: Wake = .now
    ) throws(SystemError) -> InstallOutcome {
        var request = uffdio_continue()
        request.range = range(address, byteCount)
        request.mode = wake == .now ? 0 : CLINUX_UFFD_CONTINUE_DONTWAKE
        let result = unsafe clinux_ioctl(descriptor.rawValue, CLINUX_UFFDIO_CONTINUE, &request)
        return try outcome(result, request.mapped, "ioctl(UFFDIO_CONTINUE)")
    }

    /// Wakes whoever sleeps in a range; they look again.
    ///
    /// Kernel interface: ioctl(UFFDIO_WAKE).
    package func wake(address: UInt, byteCount: Int) throws(SystemError) {
        var request = range(address, byteCount)
        let result = unsafe clinux_ioctl(descriptor.rawValue, CLINUX_UFFDIO_WAKE, &request)
        try checked(result, "ioctl(UFFDIO_WAKE)")
    }

    private func range(_ address: UInt, _ byteCount: Int) -> uffdio_range {
        uffdio_range(start: UInt64(address), len: UInt64(byteCount))
    }

    /// Sorts what an ioctl said: `result` is zero or `-errno`, `done` the request's signed
    /// out-field with the bytes installed, or `-errno`.
    private func outcome(
        _ result: CInt,
        _ done: Int64,
        _ operation: StaticString
    ) throws(SystemError) -> InstallOutcome {
        switch -result {
        case 0: return .installed
        case EEXIST: return .alreadyPresent
        case EAGAIN: return done > 0 ? .partly(byteCount: Int(done)) : .retry
        case let code: throw SystemError(code: code, operation: "\(operation)")
        }
    }
}
