// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// What guest memory is made of.
package enum Backing: String, CaseIterable, Sendable {
    /// Private anonymous memory.
    case anonymous
    /// A memfd, mapped a second time to be written behind the guest's back.
    case memfd
}

/// All memory of a guest, in one mapping, page `n` at offset `n * 4096`.
///
/// Shared by vCPU threads, page lanes and devices; who may touch which page is for the page map
/// to say. The addresses stay valid as long as the object lives.
@safe package final class GuestRAM: Sendable {
    /// Where the memory lies for the guest.
    package let layout: GuestLayout
    /// What the memory is made of.
    package let backing: Backing
    /// The mapping that the guest runs on.
    package let mapping: Mapping
    private let alias: Mapping?

    /// Reserves the memory; no page is present yet.
    ///
    /// Transparent huge pages are off: a huge page would make pages present that never arrived.
    ///
    /// - Parameters:
    ///   - layout: Where the memory lies for the guest.
    ///   - backing: What it is made of.
    ///   - pages: The pages of a memfd, which are then also the least that can become present.
    /// - Throws: ``SystemError``, for example `ENOMEM` where too few huge pages are reserved.
    package init(
        layout: GuestLayout,
        backing: Backing,
        pages: MemoryFile.Pages = .ordinary
    ) throws(SystemError) {
        self.layout = layout
        self.backing = backing
        switch backing {
        case .anonymous:
            mapping = try Mapping(.anonymous, byteCount: layout.byteCount)
            alias = nil
        case .memfd:
            let file = try MemoryFile(
                name: "apus-guest",
                byteCount: layout.byteCount,
                pages: pages
            )
            mapping = try Mapping(.shared(file.descriptor.rawValue), byteCount: layout.byteCount)
            alias = try Mapping(.shared(file.descriptor.rawValue), byteCount: layout.byteCount)
        }
        try mapping.disableHugePages()
        try alias?.disableHugePages()
    }

    /// Why this host has too little memory for a layout, with the remedy; nil when it has enough.
    package static func shortage(of layout: GuestLayout) -> String? {
        let margin = 64 << 20
        guard let available = Host.availableMemoryBytes, available < layout.byteCount + margin
        else { return nil }
        return "too little memory: the guest has \(layout.byteCount >> 20) MiB, and this host "
            + "\(available >> 20) MiB available: free some, or choose a smaller guest or "
            + "another host"
    }

    /// The bytes of some pages, as the guest sees them.
    ///
    /// - Parameter range: Pages of this memory; anything else traps.
    /// - Returns: The bytes in place; the guest may change them at any time.
    package func bytes(of range: PageRange) -> UnsafeMutableRawBufferPointer {
        let base = unsafe mapping.base + offset(of: range)
        return unsafe UnsafeMutableRawBufferPointer(start: base, count: range.byteCount)
    }

    /// The same pages through the second mapping of a memfd: writing there fills the page cache
    /// without making the page present for the guest.
    ///
    /// Nil for anonymous memory.
    package func aliasBytes(of range: PageRange) -> UnsafeMutableRawBufferPointer? {
        let start = offset(of: range)
        switch alias {
        case .some(let alias):
            return unsafe UnsafeMutableRawBufferPointer(
                start: alias.base + start,
                count: range.byteCount
            )
        case .none:
            return nil
        }
    }

    /// Forgets the page table entries of the second mapping, so that its pages do not count twice
    /// as resident.
    ///
    /// The contents stay.
    package func releaseAlias() throws(SystemError) {
        try alias?.dropEntries()
    }

    /// Finds the page that a host address lies in; nil outside this memory.
    package func page(atHostAddress address: UInt) -> PageIndex? {
        let base = mapping.address
        guard address >= base, address - base < UInt(mapping.byteCount) else { return nil }
        return PageIndex(Int(address - base) >> GuestPage.shift)
    }

    private func offset(of range: PageRange) -> Int {
        precondition(
            range.first.rawValue >= 0 && range.count > 0
                && range.first.rawValue <= layout.pageCount - range.count,
            "pages outside guest memory"
        )
        return range.byteOffset
    }
}
