// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem
private import Synchronization

/// What the destination knows of a page.
package enum PageState: UInt8, Sendable {
    /// Nobody has asked for it.
    case absent = 0
    /// A request is under way.
    case requested = 1
    /// One thread has its contents and is installing them.
    case arriving = 2
    /// It is present, and is never overwritten again.
    case installed = 3
}

/// The state of every guest page at the destination: one byte a page.
///
/// Safe from any number of threads. A page goes `absent → requested → arriving → installed`, or
/// straight from absent to arriving; whoever wins `claim` installs the page, everyone else drops
/// what they hold.
@safe package final class PageMap: @unchecked Sendable {
    // Sendable: every byte is only ever touched as an atomic.
    private let memory: Mapping
    private let absentCount: Atomic<Int>

    /// Pages in the map.
    package let pageCount: Int

    /// All pages absent.
    ///
    /// - Parameter pageCount: Above zero.
    /// - Throws: ``SystemError`` when the memory cannot be mapped.
    package init(pageCount: Int) throws(SystemError) {
        precondition(pageCount > 0)
        let page = Host.pageByteCount
        memory = try Mapping(.anonymous, byteCount: (pageCount + page - 1) / page * page)
        absentCount = Atomic(pageCount)
        self.pageCount = pageCount
    }

    /// Bytes of metadata for each guest page.
    package static let bytesPerPage = MemoryLayout<UInt8>.size

    /// Pages that are not installed yet.
    package var remainingCount: Int { absentCount.load(ordering: .acquiring) }

    /// The present state; pairs with the release in `markInstalled`.
    package func state(of page: PageIndex) -> PageState {
        let raw = unsafe byte(page).pointee.load(ordering: .acquiring)
        return PageState(rawValue: raw) ?? .installed
    }

    /// Notes that a request for an absent page goes out.
    ///
    /// - Returns: The state before. The caller sends the request when that was `.absent`, and
    ///   only then; nothing has changed otherwise.
    package func markRequested(_ page: PageIndex) -> PageState {
        let (won, original) = unsafe byte(page).pointee.compareExchange(
            expected: PageState.absent.rawValue,
            desired: PageState.requested.rawValue,
            ordering: .acquiringAndReleasing
        )
        return won ? .absent : PageState(rawValue: original) ?? .installed
    }

    /// Takes the right to install a page.
    ///
    /// - Returns: The state before: `.absent` or `.requested` when the caller won and has to
    ///   install the page and call `markInstalled`; otherwise it must drop what it holds.
    package func claim(_ page: PageIndex) -> PageState {
        let cell = unsafe byte(page)
        var expected = unsafe cell.pointee.load(ordering: .relaxed)
        while expected < PageState.arriving.rawValue {
            let (won, original) = unsafe cell.pointee.compareExchange(
                expected: expected,
                desired: PageState.arriving.rawValue,
                ordering: .acquiringAndReleasing
            )
            if won { break }
            expected = original
        }
        return PageState(rawValue: expected) ?? .installed
    }

    /// Publishes that claimed pages are present.
    ///
    /// - Parameter range: Pages this thread has claimed and installed.
    /// - Returns: Pages of the guest that are still missing; zero for exactly one caller.
    package func markInstalled(_ range: PageRange) -> Int {
        for index in range.first.rawValue..<range.first.rawValue + range.count {
            unsafe byte(PageIndex(index)).pointee
                .store(PageState.installed.rawValue, ordering: .releasing)
        }
        return absentCount.wrappingSubtract(range.count, ordering: .acquiringAndReleasing).newValue
    }

    private func byte(_ page: PageIndex) -> UnsafeMutablePointer<Atomic<UInt8>> {
        precondition(page.rawValue >= 0 && page.rawValue < pageCount, "page outside the map")
        return unsafe (memory.base + page.rawValue).assumingMemoryBound(to: Atomic<UInt8>.self)
    }
}
