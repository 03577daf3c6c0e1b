// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import GuestMemory
internal import LinuxSystem
internal import Synchronization

/// The ring in which KVM lists the pages that one vCPU writes.
///
/// One thread at a time takes entries; the kernel adds them. Layout: api.rst 8.29, an entry is
/// flags u32 · slot u32 · page in the slot u64.
final class DirtyRing {
    private let entries: Mapping
    private var next = 0

    /// Entries of a ring: with them 16 MiB are written before somebody has to look.
    static let entryCount = 4096
    private static let entryByteCount = 16
    /// What KVM is asked for.
    static let byteCount = entryCount * entryByteCount

    /// Maps the ring of a vCPU, of a VM that has been asked for rings.
    init(of vCPU: borrowing FileDescriptor) throws(SystemError) {
        entries = try Mapping(
            .sharedPart(
                vCPU.rawValue,
                offset: Int(CLINUX_KVM_DIRTY_LOG_PAGE_OFFSET) << GuestPage.shift
            ),
            byteCount: Self.byteCount
        )
    }

    /// Takes all entries there are; the kernel has them back with `KVM_RESET_DIRTY_RINGS`.
    ///
    /// - Parameter body: Gets each entry's slot and its page in the slot.
    func takeAll(_ body: (_ slot: UInt32, _ page: UInt64) -> Void) {
        for _ in 0..<Self.entryCount {
            let entry = unsafe entries.base + next * Self.entryByteCount
            // Pairs with the kernel's release: slot and page are visible with the flag.
            let flags = unsafe entry.assumingMemoryBound(to: Atomic<UInt32>.self)
            guard
                unsafe flags.pointee.load(ordering: .acquiring) & CLINUX_KVM_DIRTY_GFN_F_DIRTY != 0
            else { return }
            body(
                unsafe entry.load(fromByteOffset: 4, as: UInt32.self),
                unsafe entry.load(fromByteOffset: 8, as: UInt64.self)
            )
            unsafe flags.pointee.store(CLINUX_KVM_DIRTY_GFN_F_RESET, ordering: .releasing)
            next = (next + 1) % Self.entryCount
        }
    }
}
