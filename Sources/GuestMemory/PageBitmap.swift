// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem
private import Synchronization

/// One bit for every guest page, at the source: whether the page has been sent, say, or written.
///
/// Safe from any number of threads.
@safe package final class PageBitmap: @unchecked Sendable {
    // Sendable: every word is only ever touched as an atomic.
    private let memory: Mapping

    /// Pages in the bitmap.
    package let pageCount: Int

    /// All bits clear.
    ///
    /// - Parameter pageCount: Above zero.
    /// - Throws: ``SystemError`` when the memory cannot be mapped.
    package init(pageCount: Int) throws(SystemError) {
        precondition(pageCount > 0)
        let page = Host.pageByteCount
        let bytes = (pageCount + 63) / 64 * 8
        memory = try Mapping(.anonymous, byteCount: (bytes + page - 1) / page * page)
        self.pageCount = pageCount
    }

    /// Sets the bit of a page.
    ///
    /// - Returns: Whether this call set it; false when it was set before.
    package func insert(_ page: PageIndex) -> Bool {
        let mask = UInt64(1) << UInt64(page.rawValue % 64)
        let original = unsafe word(of: page).pointee
            .bitwiseOr(mask, ordering: .acquiringAndReleasing).oldValue
        return original & mask == 0
    }

    /// Whether the bit of a page is set.
    package func contains(_ page: PageIndex) -> Bool {
        let mask = UInt64(1) << UInt64(page.rawValue % 64)
        return unsafe word(of: page).pointee.load(ordering: .acquiring) & mask != 0
    }

    /// Takes the next run of pages whose bits are clear, and sets them.
    ///
    /// The search begins at a page, goes up to the last one and then on from the first.
    ///
    /// - Parameters:
    ///   - start: Where to begin.
    ///   - mostPages: 1 to 64. A run ends at a multiple of 64 pages at the latest.
    /// - Returns: Pages whose bits this call set, or nil when all bits are set.
    package func takeRun(from start: PageIndex, mostPages: Int) -> PageRange? {
        precondition(mostPages >= 1 && mostPages <= 64, "no such run")
        let wordCount = (pageCount + 63) / 64
        let first = min(max(0, start.rawValue), pageCount - 1)
        // The first word is looked at twice: from the start on, and in the end before it.
        for step in 0...wordCount {
            let index = (first / 64 + step) % wordCount
            var allowed = validBits(ofWord: index)
            if step == 0 { allowed &= ~UInt64(0) << UInt64(first % 64) }
            if let run = takeRun(inWord: index, allowed: allowed, mostPages: mostPages) {
                return run
            }
        }
        return nil
    }

    /// Words of 64 pages in the bitmap.
    package var wordCount: Int { (pageCount + 63) / 64 }

    /// The bits of 64 pages, the lowest for the page `64 * index`.
    package func bits(ofWord index: Int) -> UInt64 {
        unsafe word(index).pointee.load(ordering: .acquiring)
    }

    /// Takes the bits of 64 pages; they are clear afterwards.
    package func takeBits(ofWord index: Int) -> UInt64 {
        let cell = unsafe word(index)
        // Most words of a bitmap of written pages are zero: those cost no write.
        if unsafe cell.pointee.load(ordering: .relaxed) == 0 { return 0 }
        return unsafe cell.pointee.exchange(0, ordering: .acquiringAndReleasing)
    }

    /// Sets bits of 64 pages; those of pages that do not exist are ignored.
    package func insert(_ bits: UInt64, inWord index: Int) {
        let valid = bits & validBits(ofWord: index)
        guard valid != 0 else { return }
        _ = unsafe word(index).pointee.bitwiseOr(valid, ordering: .acquiringAndReleasing)
    }

    /// Clears bits of 64 pages.
    ///
    /// - Returns: Those that were set.
    package func remove(_ bits: UInt64, fromWord index: Int) -> UInt64 {
        guard bits != 0 else { return 0 }
        return bits
            & (unsafe word(index).pointee
                .bitwiseAnd(~bits, ordering: .acquiringAndReleasing).oldValue)
    }

    /// The bits of pages that exist, of 64 pages.
    package func validBits(ofWord index: Int) -> UInt64 {
        let pages = pageCount - index * 64
        return pages >= 64 ? ~0 : (UInt64(1) << UInt64(pages)) - 1
    }

    private func takeRun(inWord index: Int, allowed: UInt64, mostPages: Int) -> PageRange? {
        let cell = unsafe word(index)
        var present = unsafe cell.pointee.load(ordering: .acquiring)
        while true {
            let clear = ~present & allowed
            guard clear != 0 else { return nil }
            let offset = clear.trailingZeroBitCount
            let count = min(mostPages, (~(clear >> UInt64(offset))).trailingZeroBitCount)
            let mask = (count == 64 ? ~0 : (UInt64(1) << UInt64(count)) - 1) << UInt64(offset)
            let (won, original) = unsafe cell.pointee.compareExchange(
                expected: present,
                desired: present | mask,
                ordering: .acquiringAndReleasing
            )
            if won { return PageRange(first: PageIndex(index * 64 + offset), count: count) }
            present = original
        }
    }

    private func word(of page: PageIndex) -> UnsafeMutablePointer<Atomic<UInt64>> {
        precondition(page.rawValue >= 0 && page.rawValue < pageCount, "page outside the bitmap")
        return unsafe word(page.rawValue / 64)
    }

    private func word(_ index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        precondition(index >= 0 && index < (pageCount + 63) / 64, "page outside the bitmap")
        return unsafe (memory.base + index * 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }
}
