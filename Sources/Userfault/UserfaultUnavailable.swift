// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc
package import LinuxSystem

/// Why this process cannot have a userfaultfd.
package enum UserfaultUnavailable: Error, Equatable, CustomStringConvertible {
    /// The kernel has none.
    case kernel
    /// It is not permitted; `device` is the errno of opening /dev/userfaultfd.
    case permission(device: CInt)
    /// The kernel lacks a feature that a mode needs.
    case features(Userfaultfd.Mode, code: CInt)
    /// Another failure.
    case system(SystemError)

    /// Cause and remedy in one line.
    package var description: String {
        switch self {
        case .kernel:
            "this kernel has no userfaultfd: boot one built with CONFIG_USERFAULTFD=y"
        case .permission(let device):
            "userfaultfd is not permitted (it must see KVM's own touches of guest memory): "
                + (device == ENOENT
                    ? "either use a kernel ≥ 6.1 with /dev/userfaultfd, "
                    : "either 'chmod 0666 /dev/userfaultfd' (or give this user's group access), ")
                + "or grant CAP_SYS_PTRACE ('setcap cap_sys_ptrace+ep' on this program), "
                + "or 'sysctl vm.unprivileged_userfaultfd=1'"
        case .features(.missing, let code):
            "userfaultfd of this kernel does not tell thread ids (errno \(code)): "
                + "use a kernel ≥ 4.14"
        case .features(.missingAndMinor, let code):
            "userfaultfd of this kernel has no minor faults for memfd (errno \(code)): "
                + "use a kernel ≥ 5.14, or --backing anonymous"
        case .system(let error): error.description
        }
    }
}
