// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc
package import LinuxSystem

/// Whether this process may have a userfaultfd for guest memory, and what it could do.
package struct UserfaultSurvey: Equatable, Sendable {
    /// By which way one is had.
    package enum Route: Equatable, Sendable {
        /// /dev/userfaultfd (Linux 6.1), by the permissions of that file.
        case device
        /// userfaultfd(2), by CAP_SYS_PTRACE or `vm.unprivileged_userfaultfd`.
        case systemCall
        /// Only one with `UFFD_USER_MODE_ONLY`: it does not see touches by the kernel, and KVM
        /// touches a guest's memory on its behalf. No good for a migration.
        case userModeOnly
        /// None at all.
        case none(SystemError)
    }

    /// Features that a migration may need.
    package struct Features: OptionSet, Sendable {
        package let rawValue: UInt64
        package init(rawValue: UInt64) { self.rawValue = rawValue }

        /// Events tell which thread touched the page.
        package static let threadID = Features(rawValue: CLINUX_UFFD_FEATURE_THREAD_ID)
        /// Absent pages of memfds are reported.
        package static let missingShmem = Features(rawValue: CLINUX_UFFD_FEATURE_MISSING_SHMEM)
        /// Pages of memfds that are in the page cache, and not mapped, are reported.
        package static let minorShmem = Features(rawValue: CLINUX_UFFD_FEATURE_MINOR_SHMEM)
        /// Absent huge pages are reported.
        package static let missingHugetlbfs = Features(
            rawValue: CLINUX_UFFD_FEATURE_MISSING_HUGETLBFS
        )
        /// Huge pages that are in the page cache, and not mapped, are reported.
        package static let minorHugetlbfs = Features(
            rawValue: CLINUX_UFFD_FEATURE_MINOR_HUGETLBFS
        )
    }

    /// How one is had.
    package var route: Route
    /// Whether /dev/userfaultfd exists.
    package var hasDevice: Bool
    /// All that the kernel offers; empty without any userfaultfd.
    package var features: Features

    /// A survey of a host that exists only in a test.
    package init(route: Route, hasDevice: Bool, features: Features) {
        self.route = route
        self.hasDevice = hasDevice
        self.features = features
    }

    /// Asks this host, as the user who runs this process.
    ///
    /// - Parameter devicePath: The device; tests pass something else.
    ///
    /// Kernel interface: open(2) and `USERFAULTFD_IOC_NEW`, userfaultfd(2), `UFFDIO_API`.
    package init(devicePath: String = "/dev/userfaultfd") {
        hasDevice = unsafe access(devicePath, F_OK) == 0
        let found = Self.open(devicePath)
        route = found.route
        guard found.descriptor >= 0 else {
            features = []
            return
        }
        let descriptor = FileDescriptor(owning: found.descriptor)
        var api = uffdio_api()
        api.api = UFFD_API
        // Asked for nothing, the kernel answers with all it has.
        let result = unsafe clinux_ioctl(descriptor.rawValue, CLINUX_UFFDIO_API, &api)
        features = result >= 0 ? Features(rawValue: api.features) : []
    }

    private static func open(_ devicePath: String) -> (route: Route, descriptor: CInt) {
        if let device = try? FileDescriptor(opening: devicePath, flags: O_RDWR) {
            let flags = UInt(O_CLOEXEC | O_NONBLOCK)
            let fd = clinux_ioctl_value(device.rawValue, CLINUX_USERFAULTFD_IOC_NEW, flags)
            if fd >= 0 { return (.device, fd) }
        }
        let any = clinux_userfaultfd(0)
        if any >= 0 { return (.systemCall, any) }
        let userMode = clinux_userfaultfd(CLINUX_UFFD_USER_MODE_ONLY)
        if userMode >= 0 { return (.userModeOnly, userMode) }
        return (.none(SystemError(code: -any, operation: "userfaultfd")), -1)
    }
}
