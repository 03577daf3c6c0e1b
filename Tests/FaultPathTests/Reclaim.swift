// SPDX-License-Identifier: Apache-2.0

import Glibc
import GuestMemory
import LinuxSystem
import MigrationDestination
import TestSupport
import Testing

/// What the kernel may do with installed pages, done on purpose.
enum Reclaim {
    /// Whether pages can be swapped out here.
    static let hasSwap: Bool =
        (Host.contents(of: "/proc/swaps") ?? "").split(separator: "\n").count > 1

    /// Whether tests that need swap run; with `APUS_REQUIRE_SWAP=1` they must.
    static let runsSwapTests: Bool = hasSwap || HostFacts.requiresSwap

    /// MADV_PAGEOUT (Linux 5.4), which the C library may not know.
    static let pageOut: CInt = 21
}

extension ArrivingGuest {
    /// Takes the host page of a page from the page tables; its file keeps the contents.
    func dropMapping(of page: PageIndex) throws {
        precondition(ram.backing.isFile, "the contents would be lost")
        let range = ram.hostPage(of: page)
        try ram.mapping.advise(
            MADV_DONTNEED,
            offset: range.byteOffset,
            byteCount: range.byteCount
        )
        #expect(!isMapped(page))
    }

    /// Has a page written to swap, and taken from the page tables.
    func swapOut(_ page: PageIndex) throws {
        let isOut = try eventually(within: .seconds(10)) {
            // A page that came a moment ago is on another processor's list of new pages, where
            // reclaim does not see it; this empties those lists.
            if let file = try? FileDescriptor(opening: "/proc/sys/vm/drop_caches", flags: O_WRONLY)
            {
                _ = unsafe Glibc.write(file.rawValue, "1", 1)
            }
            try ram.mapping.advise(
                Reclaim.pageOut,
                offset: page.rawValue << GuestPage.shift,
                byteCount: GuestPage.byteCount
            )
            return !isMapped(page)
        }
        guard isOut else { throw Late(what: "swapping out page \(page.rawValue)") }
    }

    /// Lets memory only be read from now on.
    func makeReadOnly(_ pages: [PageIndex]) throws {
        for page in pages {
            let bytes = unsafe ram.bytes(of: PageRange(first: page, count: 1))
            guard unsafe mprotect(bytes.baseAddress, bytes.count, PROT_READ) == 0 else {
                throw SystemError(code: errno, operation: "mprotect")
            }
        }
    }

    /// Whether a page is in the page tables of this process: bit 63 of its entry in
    /// /proc/self/pagemap.
    private func isMapped(_ page: PageIndex) -> Bool {
        guard let file = try? FileDescriptor(opening: "/proc/self/pagemap", flags: O_RDONLY) else {
            preconditionFailure("no /proc/self/pagemap")
        }
        var entry: UInt64 = 0
        let number = (Int(ram.mapping.address) >> GuestPage.shift) + page.rawValue
        let count = unsafe pread(file.rawValue, &entry, 8, number * 8)
        precondition(count == 8, "/proc/self/pagemap cannot be read")
        return entry >> 63 == 1
    }
}
