// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import GuestMemory
internal import KVM
internal import LinuxSystem

/// Ways to memory-fault exits, as `-w` names them.
enum ExitPath: String, CaseIterable, ExpressibleByArgument {
    case nowait, attributes

    /// The fault path that it is.
    var faultPath: FaultPath {
        switch self {
        case .nowait: .nowait
        case .attributes: .attributes
        }
    }
}

/// What of absent pages is missing, as `-u` names it.
enum PagingMode: String, CaseIterable, Codable, ExpressibleByArgument {
    /// All of the page: it is installed with UFFDIO_COPY.
    case missing = "MISSING"
    /// Only the page table entry: it is installed with UFFDIO_CONTINUE.
    case minor = "MINOR"
}

/// What guest memory is made of, as `-s` names it.
enum PagingBacking: String, CaseIterable, Codable, ExpressibleByArgument {
    case anonymous, shmem, hugetlb

    /// The same as a kind of guest memory.
    var guestBacking: Backing {
        switch self {
        case .anonymous: .anonymous
        case .shmem: .memfd
        case .hugetlb: .hugetlb
        }
    }

    /// Bytes of the pages that can become present.
    var pageByteCount: Int { guestBacking.pagesPerHostPage * GuestPage.byteCount }
}

/// One experiment: how vCPUs touch memory, and how it is paged in.
struct PagingParameters: Sendable {
    /// Memory that each vCPU brings, a multiple of the backing's pages.
    var bytesPerVCPU: Int
    var mode: PagingMode
    var backing: PagingBacking
    /// How the touches of absent pages are delivered.
    var path: FaultPath
    var vCPUs: Int
    /// Whether one userfaultfd serves all memory, and not one each vCPU's.
    var isSingleUserfault: Bool
    /// Threads that read each userfaultfd.
    var readers: Int
    /// Whether every vCPU touches all memory, and not only what it brought.
    var overlaps: Bool
    /// Time that fetching a page is said to take.
    var delayMicroseconds: UInt32
    /// Whether a vCPU that made a page present has it mapped by KVM_PRE_FAULT_MEMORY, where the
    /// kernel has that.
    var prefaults: Bool
    /// Whether vCPUs look at the clock around each system call.
    var isProfiled = false
    /// When a run that has not ended has failed.
    var limitSeconds: Int

    /// Memory that is paged in, of all vCPUs.
    var byteCount: Int { bytesPerVCPU * vCPUs }
    /// Pages of 4 KiB that each vCPU touches.
    var touchesPerVCPU: Int {
        (overlaps ? byteCount : bytesPerVCPU) / GuestPage.byteCount
    }
    /// Pages that are installed one by one.
    var installs: Int { byteCount / backing.pageByteCount }
    /// How many userfaultfds there are.
    var userfaults: Int { isSingleUserfault ? 1 : vCPUs }

    /// The flags for another process's run of the same, as far as the kernel's
    /// demand_paging_test has them, and without `-w`; it calls shared huge pages by another name.
    func arguments(hugetlb: String) -> [String] {
        let backing = backing == .hugetlb ? hugetlb : backing.rawValue
        var result = [
            "-b", "\(bytesPerVCPU)", "-u", mode.rawValue, "-s", backing, "-v", "\(vCPUs)",
            "-r", "\(readers)",
        ]
        if delayMicroseconds > 0 { result += ["-d", "\(delayMicroseconds)"] }
        if overlaps { result.append("-o") } else if isSingleUserfault { result.append("-a") }
        return result
    }
}
