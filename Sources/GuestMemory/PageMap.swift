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
    /// It is present, and is never overwritten once the guest runs.
    case installed = 3
}

/// The state of every guest page at the destination: one byte a page.
///
/// Safe from any number of threads. A page goes `absent → requested → arriving → installed`, or
/// straight from absent to arriving; whoever wins `claim` installs the page, everyone else drops
/// what they hold. Before the guest runs an installed page may be reclaimed,
/// `installed → arriving`, and goes on to installed, with newer bytes, or to absent. Two bits beside
/// the state say that somebody waits for the page.
@safe package final class PageMap: @unchecked Sendable {
    // Sendable: every byte is only ever touched as an atomic.
    private let memory: Mapping
    private let absentCount: Atomic<Int>
    /// Where threads sleep that wait for a page, by the page's number.
    private let sleepers: [FutexWord]
    private let isAbandoned = Atomic<Bool>(false)

    private static let stateBits: UInt8 = 0b0000_0011
    /// A thread sleeps in `awaitInstalled`.
    private static let sleeperBit: UInt8 = 0b0100_0000
    /// A thread sleeps in userfaultfd, and its event has been read.
    private static let userfaultBit: UInt8 = 0b1000_0000

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
        sleepers = (0..<64).map { _ in FutexWord(0) }
        self.pageCount = pageCount
    }

    /// Bytes of metadata for each guest page.
    package static let bytesPerPage = MemoryLayout<UInt8>.size

    /// Pages that are not installed yet.
    package var remainingCount: Int { absentCount.load(ordering: .acquiring) }

    /// The present state; pairs with the release in `markInstalled`.
    package func state(of page: PageIndex) -> PageState {
        Self.state(unsafe byte(page).pointee.load(ordering: .acquiring))
    }

    /// Notes that a request for an absent page goes out.
    ///
    /// - Returns: The state before. The caller sends the request when that was `.absent`, and
    ///   only then; nothing has changed otherwise.
    package func markRequested(_ page: PageIndex) -> PageState {
        let cell = unsafe byte(page)
        var known = PageState.absent.rawValue
        while Self.state(known) == .absent {
            let (won, original) = unsafe cell.pointee.compareExchange(
                expected: known,
                desired: known & ~Self.stateBits | PageState.requested.rawValue,
                ordering: .acquiringAndReleasing
            )
            if won { break }
            known = original
        }
        return Self.state(known)
    }

    /// Takes the right to install a page.
    ///
    /// - Returns: The state before: `.absent` or `.requested` when the caller won and has to
    ///   install the page and call `markInstalled`; otherwise it must drop what it holds.
    package func claim(_ page: PageIndex) -> PageState {
        let cell = unsafe byte(page)
        var expected = unsafe cell.pointee.load(ordering: .relaxed)
        while Self.state(expected) == .absent || Self.state(expected) == .requested {
            let (won, original) = unsafe cell.pointee.compareExchange(
                expected: expected,
                desired: expected & ~Self.stateBits | PageState.arriving.rawValue,
                ordering: .acquiringAndReleasing
            )
            if won { break }
            expected = original
        }
        return Self.state(expected)
    }

    /// What `markInstalled` found.
    package struct Installation: Equatable, Sendable {
        /// Pages of the guest that are still missing; zero for exactly one caller.
        package let remainingCount: Int
        /// Whether a thread may sleep in userfaultfd for one of the pages.
        ///
        /// An installer whose system call woke nobody has to wake it now.
        package let hasUserfaultWaiter: Bool
    }

    /// Publishes that claimed pages are present, and wakes who sleeps in `awaitInstalled`.
    ///
    /// - Parameter range: Pages this thread has claimed and installed.
    /// - Returns: What is left, and who else waits.
    package func markInstalled(_ range: PageRange) -> Installation {
        var waiters: UInt8 = 0
        for index in range.first.rawValue..<range.first.rawValue + range.count {
            let page = PageIndex(index)
            let before = unsafe byte(page).pointee.exchange(
                PageState.installed.rawValue,
                ordering: .acquiringAndReleasing
            )
            waiters |= before
            if before & Self.sleeperBit != 0 { sleeper(of: page).add(1) }
        }
        let remaining = absentCount.wrappingSubtract(range.count, ordering: .acquiringAndReleasing)
        return Installation(
            remainingCount: remaining.newValue,
            hasUserfaultWaiter: waiters & Self.userfaultBit != 0
        )
    }

    // MARK: Before the guest runs

    /// Takes the right to an installed page back: to write over it, or to drop it.
    ///
    /// For memory of a guest that does not run yet. Then `markInstalled` or `markAbsent` has to
    /// follow.
    ///
    /// - Returns: Whether the page was installed, and is now this caller's; nothing has changed
    ///   otherwise.
    package func reclaim(_ page: PageIndex) -> Bool {
        let cell = unsafe byte(page)
        var known = unsafe cell.pointee.load(ordering: .relaxed)
        while Self.state(known) == .installed {
            let (won, original) = unsafe cell.pointee.compareExchange(
                expected: known,
                desired: known & ~Self.stateBits | PageState.arriving.rawValue,
                ordering: .acquiringAndReleasing
            )
            if won {
                absentCount.wrappingAdd(1, ordering: .acquiringAndReleasing)
                return true
            }
            known = original
        }
        return false
    }

    /// Publishes that reclaimed pages have been dropped.
    ///
    /// - Parameter range: Pages this thread has reclaimed.
    package func markAbsent(_ range: PageRange) {
        for index in range.first.rawValue..<range.first.rawValue + range.count {
            unsafe byte(PageIndex(index)).pointee.store(
                PageState.absent.rawValue,
                ordering: .releasing
            )
        }
    }

    // MARK: Waiting

    /// Notes that a thread sleeps in userfaultfd for a page.
    ///
    /// - Returns: The state: unless it is `.installed`, the installer will wake that thread.
    package func noteUserfaultWaiter(_ page: PageIndex) -> PageState {
        note(Self.userfaultBit, at: page)
    }

    /// Sleeps until another thread has installed a page.
    ///
    /// - Returns: Whether it is installed; false after `abandon()`.
    package func awaitInstalled(_ page: PageIndex) -> Bool {
        let sleeper = sleeper(of: page)
        while true {
            let serial = sleeper.value
            if note(Self.sleeperBit, at: page) == .installed { return true }
            if isAbandoned.load(ordering: .acquiring) { return false }
            // The limit only bounds what a wake lost in a bug would cost.
            sleeper.wait(while: serial, timeout: .seconds(1))
        }
    }

    /// No page will come any more: ends all waiting.
    package func abandon() {
        isAbandoned.store(true, ordering: .releasing)
        for sleeper in sleepers { sleeper.add(1) }
    }

    private func note(_ bit: UInt8, at page: PageIndex) -> PageState {
        let cell = unsafe byte(page)
        var known = unsafe cell.pointee.load(ordering: .acquiring)
        while Self.state(known) != .installed && known & bit == 0 {
            let (won, original) = unsafe cell.pointee.compareExchange(
                expected: known,
                desired: known | bit,
                ordering: .acquiringAndReleasing
            )
            if won { break }
            known = original
        }
        return Self.state(known)
    }

    private func sleeper(of page: PageIndex) -> FutexWord {
        sleepers[page.rawValue % sleepers.count]
    }

    private static func state(_ byte: UInt8) -> PageState {
        PageState(rawValue: byte & stateBits) ?? .installed
    }

    private func byte(_ page: PageIndex) -> UnsafeMutablePointer<Atomic<UInt8>> {
        precondition(page.rawValue >= 0 && page.rawValue < pageCount, "page outside the map")
        return unsafe (memory.base + page.rawValue).assumingMemoryBound(to: Atomic<UInt8>.self)
    }
}
