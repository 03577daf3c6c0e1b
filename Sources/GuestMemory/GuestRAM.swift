// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// What guest memory is made of.
package enum Backing: String, CaseIterable, Sendable {
    /// Private anonymous memory.
    case anonymous
    /// A memfd, whose pages are written past the guest's mapping.
    case memfd
    /// A memfd of huge pages of 2 MiB, which somebody has reserved; mapped a second time to be
    /// written.
    case hugetlb

    /// Whether it is a file, so that a page can be filled before it becomes present.
    package var isFile: Bool {
        switch self {
        case .anonymous: false
        case .memfd, .hugetlb: true
        }
    }

    /// Guest pages in a host page, which is the least that can become present: 1 or 512.
    package var pagesPerHostPage: Int {
        switch self {
        case .anonymous, .memfd: 1
        case .hugetlb: MemoryFile.Pages.huge.byteCount / GuestPage.byteCount
        }
    }
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
    /// Pages that have been written since somebody looked last; kept while writes are tracked.
    package let written: PageBitmap
    private let storage: Storage

    /// How pages are filled before they become present.
    private enum Storage: ~Copyable, Sendable {
        /// Not at all.
        case anonymous
        /// By writing to the file, which costs half of what writing through a second mapping does:
        /// no page fault, and nothing to clear first.
        case file(MemoryFile)
        /// Through a second mapping: files of huge pages cannot be written.
        case mappedTwice(Mapping)
    }

    /// Reserves the memory; no page is present yet.
    ///
    /// Transparent huge pages are off: one would make pages present that never arrived.
    ///
    /// - Parameters:
    ///   - layout: Where the memory lies for the guest.
    ///   - backing: What it is made of; `obstacle(to:_:)` knows whether it can be.
    /// - Throws: ``SystemError``, for example `ENOMEM` where too few huge pages are reserved.
    package init(layout: GuestLayout, backing: Backing) throws(SystemError) {
        self.layout = layout
        self.backing = backing
        written = try PageBitmap(pageCount: layout.pageCount)
        switch backing {
        case .anonymous:
            mapping = try Mapping(.anonymous, byteCount: layout.byteCount)
            storage = .anonymous
        case .memfd:
            let file = try MemoryFile(name: Self.fileName, byteCount: layout.byteCount)
            mapping = try Mapping(.shared(file.descriptor.rawValue), byteCount: layout.byteCount)
            storage = .file(file)
        case .hugetlb:
            let file = try MemoryFile(
                name: Self.fileName,
                byteCount: layout.byteCount,
                pages: .huge
            )
            mapping = try Mapping(.shared(file.descriptor.rawValue), byteCount: layout.byteCount)
            storage = .mappedTwice(
                try Mapping(.shared(file.descriptor.rawValue), byteCount: layout.byteCount)
            )
        }
        try mapping.disableHugePages()
    }

    private static let fileName = "apus-guest"

    /// Why this host cannot hold a layout, with the remedy; nil when it can.
    package static func obstacle(to layout: GuestLayout, _ backing: Backing) -> String? {
        switch backing {
        case .anonymous, .memfd: shortage(for: layout)
        case .hugetlb: hugePageObstacle(to: layout)
        }
    }

    private static func hugePageObstacle(to layout: GuestLayout) -> String? {
        let byteCount = MemoryFile.Pages.huge.byteCount
        guard layout.isAligned(to: byteCount) else {
            return "guest memory \(layout) is not made of whole huge pages of 2 MiB: choose a "
                + "multiple of 2 MiB, or another --backing"
        }
        let needed = layout.byteCount / byteCount
        let available = Host.availableHugePages
        guard available < needed else { return nil }
        return "too few huge pages: the guest needs \(needed) of 2 MiB, and this host has "
            + "\(available) to spare: sysctl vm.nr_hugepages=N reserves N in all"
    }

    private static func shortage(for layout: GuestLayout) -> String? {
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

    /// Fills pages of a file behind the guest's back: they are in the page cache then, and still not
    /// present for the guest.
    ///
    /// Safe from several threads for different pages.
    ///
    /// - Parameters:
    ///   - range: Pages of this memory that are not present; it is a file.
    ///   - contents: Their bytes, which must not change during the call.
    /// - Throws: ``SystemError`` where the kernel has no memory for them.
    package func fillBehind(
        _ range: PageRange,
        with contents: UnsafeRawBufferPointer
    ) throws(SystemError) {
        precondition(contents.count == range.byteCount, "another number of bytes")
        let start = offset(of: range)
        switch storage {
        case .anonymous: preconditionFailure("anonymous memory has nothing behind it")
        case .file(let file): try unsafe file.write(contents, at: start)
        case .mappedTwice(let alias):
            unsafe UnsafeMutableRawBufferPointer(start: alias.base + start, count: range.byteCount)
                .copyMemory(from: contents)
        }
    }

    /// Says that this process has written guest memory: a device, say, on the guest's behalf.
    ///
    /// KVM tells only what vCPUs write. To be called after the write, and before the device counts
    /// as stopped: then no migration misses it. Safe from any thread; costs next to nothing.
    ///
    /// - Parameter range: Pages of this memory; anything else traps.
    package func noteWritten(_ range: PageRange) {
        // Set even where it is set: whoever takes the bit in this moment sends the page as it was
        // before the write, unless one of the two is seen to come first.
        for number in range.first.rawValue..<range.first.rawValue + range.count {
            _ = written.insert(PageIndex(number))
        }
    }

    /// Copies pages that are present, past the guest's mapping where they are in a file: so this
    /// never sleeps in userfaultfd.
    ///
    /// - Parameters:
    ///   - range: Pages of this memory that are present.
    ///   - buffer: Gets their bytes.
    /// - Throws: ``SystemError`` where the file cannot be read.
    package func copy(
        _ range: PageRange,
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(SystemError) {
        precondition(buffer.count == range.byteCount, "another number of bytes")
        switch storage {
        case .anonymous: unsafe buffer.copyMemory(from: .init(bytes(of: range)))
        case .file(let file): try unsafe file.read(into: buffer, at: offset(of: range))
        case .mappedTwice(let alias):
            let start = unsafe alias.base + offset(of: range)
            unsafe buffer.copyMemory(from: .init(start: start, count: range.byteCount))
        }
    }

    /// Writes over pages that are present, of a guest that does not run.
    ///
    /// - Parameters:
    ///   - range: Pages of this memory that are present.
    ///   - contents: Their bytes, which must not change during the call.
    /// - Throws: ``SystemError`` where the file cannot be written.
    package func overwrite(
        _ range: PageRange,
        with contents: UnsafeRawBufferPointer
    ) throws(SystemError) {
        precondition(contents.count == range.byteCount, "another number of bytes")
        guard !backing.isFile else { return try unsafe fillBehind(range, with: contents) }
        unsafe bytes(of: range).copyMemory(from: contents)
    }

    /// Drops pages and what they hold: they are absent again, for the guest and in the file.
    ///
    /// - Parameter range: Whole host pages of this memory.
    /// - Throws: ``SystemError`` of madvise(2).
    package func discard(_ range: PageRange) throws(SystemError) {
        try mapping.drop(
            backing.isFile ? .file : .anonymous,
            offset: offset(of: range),
            byteCount: range.byteCount
        )
    }

    /// The pages that become present together with a page: a host page of them.
    package func hostPage(of page: PageIndex) -> PageRange {
        let count = backing.pagesPerHostPage
        return PageRange(first: PageIndex(page.rawValue / count * count), count: count)
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
