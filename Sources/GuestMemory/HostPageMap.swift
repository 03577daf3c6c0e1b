// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem
private import Synchronization

/// Host pages that hold many guest pages, and become present only as a whole: how much of each has
/// come, and whether somebody has asked for it.
///
/// Beside the ``PageMap``, for backings with huge pages. Safe from any number of threads; four
/// bytes a host page.
@safe package final class HostPageMap: @unchecked Sendable {
    // Sendable: every word is only ever touched as an atomic.
    private let memory: Mapping
    private let hostPageCount: Int

    /// Guest pages in a host page.
    package let pagesPerHostPage: Int

    private static let requestedBit: UInt32 = 1 << 31

    /// Nothing has come, and nobody has asked.
    ///
    /// - Parameters:
    ///   - pageCount: Pages of the guest, a multiple of `pagesPerHostPage`.
    ///   - pagesPerHostPage: Guest pages in a host page, at least two.
    /// - Throws: ``SystemError`` when the memory cannot be mapped.
    package init(pageCount: Int, pagesPerHostPage: Int) throws(SystemError) {
        precondition(pagesPerHostPage > 1 && pageCount % pagesPerHostPage == 0)
        self.pagesPerHostPage = pagesPerHostPage
        hostPageCount = pageCount / pagesPerHostPage
        let bytes = hostPageCount * MemoryLayout<UInt32>.size
        let page = Host.pageByteCount
        memory = try Mapping(.anonymous, byteCount: (bytes + page - 1) / page * page)
    }

    /// Notes that a request for the host page of a page goes out.
    ///
    /// - Returns: Whether this call noted it first: the caller sends the request then, and only
    ///   then.
    package func markRequested(_ page: PageIndex) -> Bool {
        let before = unsafe word(of: page).pointee
            .bitwiseOr(Self.requestedBit, ordering: .relaxed).oldValue
        return before & Self.requestedBit == 0
    }

    /// Adds pages whose contents have been written in place, each of them once.
    ///
    /// - Parameter range: Pages of one host page.
    /// - Returns: Whether the host page is complete with them, which one caller learns. That
    ///   caller sees what all others wrote before they called.
    package func fill(_ range: PageRange) -> Bool {
        let after = unsafe word(of: range.first).pointee
            .wrappingAdd(UInt32(range.count), ordering: .acquiringAndReleasing).newValue
        return Int(after & ~Self.requestedBit) == pagesPerHostPage
    }

    /// Nothing of a host page is there any more, and nobody has asked for it.
    package func empty(_ page: PageIndex) {
        unsafe word(of: page).pointee.store(0, ordering: .releasing)
    }

    private func word(of page: PageIndex) -> UnsafeMutablePointer<Atomic<UInt32>> {
        let index = page.rawValue / pagesPerHostPage
        precondition(index >= 0 && index < hostPageCount, "page outside the map")
        return unsafe (memory.base + index * 4).assumingMemoryBound(to: Atomic<UInt32>.self)
    }
}
