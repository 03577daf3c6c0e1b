// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import LinuxSystem

extension HostFindings {
    /// What guest memory and lanes can be made of.
    var memoryChecks: [HostCheck] { [memoryFileCheck, hugePageCheck, transparentHugePageCheck] }

    private var memoryFileCheck: HostCheck {
        let name = "memfd"
        guard let error = memoryFileError else {
            return .ok(name, "for --backing memfd and lanes over rings")
        }
        let remedy =
            switch error.code {
            case EACCES, EPERM: "sudo sysctl vm.memfd_noexec=1"
            case ENOSYS: "boot a kernel from 3.17 on, built with CONFIG_MEMFD_CREATE=y"
            default: "ulimit -n 4096  # and free some memory"
            }
        return .degraded(
            name,
            "none (\(error)): no --backing memfd or hugetlb, and no lanes over rings",
            mend: remedy
        )
    }

    private var hugePageCheck: HostCheck {
        let name = "huge-pages"
        if availableHugePages > 0 {
            let bytes = availableHugePages * MemoryFile.Pages.huge.byteCount
            return .ok(name, "\(availableHugePages) of 2 MiB to spare, \(bytes >> 20) MiB")
        }
        return .degraded(
            name,
            "none to spare: --backing hugetlb cannot be taken",
            mend: "sudo sysctl vm.nr_hugepages=512  # 1 GiB"
        )
    }

    /// Guest memory is exempt from transparent huge pages, but a memfd's page cache is not.
    private var transparentHugePageCheck: HostCheck {
        let name = "thp"
        guard let anonymous = transparentHugePages else {
            return .ok(name, "this kernel makes none")
        }
        let shared = sharedTransparentHugePages ?? "unknown"
        let found = "enabled \(anonymous), shmem_enabled \(shared)"
        switch shared {
        case "always", "within_size", "force":
            return .degraded(
                name,
                "\(found): a page written to a memfd may take and clear 2 MiB, most of which has "
                    + "not arrived",
                mend: "echo advise | "
                    + "sudo tee /sys/kernel/mm/transparent_hugepage/shmem_enabled"
            )
        default:
            return .ok(name, "\(found); guest memory is exempt")
        }
    }
}
