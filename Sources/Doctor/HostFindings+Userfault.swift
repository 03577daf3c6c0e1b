// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import LinuxSystem
internal import Userfault

extension HostFindings {
    /// Userfaultfd, and what it has to be able to do.
    var userfaultChecks: [HostCheck] {
        [
            userfaultCheck,
            feature(.threadID, "uffd-thread-id", "tells whose a fault is", else: .isNeeded),
            feature(.missingShmem, "uffd-missing-shmem", "for --backing memfd", else: .memfd),
            feature(.minorShmem, "uffd-minor-shmem", "for --backing memfd", else: .memfd),
            feature(
                .missingHugetlbfs,
                "uffd-missing-hugetlbfs",
                "for --backing hugetlb",
                else: .hugetlb
            ),
            feature(
                .minorHugetlbfs,
                "uffd-minor-hugetlbfs",
                "for --backing hugetlb",
                else: .hugetlb
            ),
        ]
    }

    private var userfaultCheck: HostCheck {
        let name = "userfaultfd"
        switch userfault.route {
        case .device: return .ok(name, "by /dev/userfaultfd")
        case .systemCall:
            return .ok(name, "by system call: CAP_SYS_PTRACE or vm.unprivileged_userfaultfd=1")
        case .userModeOnly:
            return .missing(
                name,
                "only with UFFD_USER_MODE_ONLY, which does not see the kernel's own touches: KVM "
                    + "touches a guest's memory on its behalf, and would fail on pages that have "
                    + "not arrived",
                mend: permit
            )
        case .none(let error) where error.code == ENOSYS:
            return .missing(
                name,
                "this kernel has none",
                mend: "boot a kernel built with CONFIG_USERFAULTFD=y"
            )
        case .none(let error):
            return .missing(name, "not permitted: \(error)", mend: permit)
        }
    }

    private var permit: String {
        userfault.hasDevice
            ? "sudo setfacl -m u:$USER:rw /dev/userfaultfd  "
                + "# until the next boot; without setfacl: sudo chmod 0666 /dev/userfaultfd"
            : "sudo sysctl vm.unprivileged_userfaultfd=1  # for every program; from Linux 6.1 on "
                + "/dev/userfaultfd can be given to one user"
    }

    /// What a migration does without a feature.
    private enum Lack {
        case isNeeded
        case memfd
        case hugetlb
    }

    private func feature(
        _ feature: UserfaultSurvey.Features,
        _ name: String,
        _ use: String,
        else lack: Lack
    ) -> HostCheck {
        if case .none = userfault.route {
            return .missing(name, "not known without userfaultfd", mend: "mend userfaultfd first")
        }
        if userfault.features.contains(feature) { return .ok(name, use) }
        switch lack {
        case .isNeeded:
            return .missing(name, "not there; \(use)", mend: "boot a kernel from 4.14 on")
        case .memfd:
            return .degraded(
                name,
                "not there: --backing memfd cannot be taken",
                mend: "boot a kernel from 5.14 on"
            )
        case .hugetlb:
            return .degraded(
                name,
                "not there: --backing hugetlb cannot be taken",
                mend: "boot a kernel from 5.13 on, built with CONFIG_HUGETLBFS=y"
            )
        }
    }
}
