// SPDX-License-Identifier: Apache-2.0

package import GuestMemory
package import KVM
package import LinuxSystem
package import MigrationWire
private import Synchronization
package import Transport
package import Userfault

/// Guest memory on its way in: what is present, and what all receivers have to know.
///
/// Shared by fault readers, answer receivers and bulk receivers; safe from all of them.
package final class IncomingMemory: Sendable {
    let ram: GuestRAM
    /// What is known of each page.
    package let pages: PageMap
    /// What is known of each host page; nil where a host page is a page of the guest.
    private let hostPages: HostPageMap?
    let userfault: Userfaultfd
    /// The switch for memory-fault exits.
    let exits: FaultExits
    /// Who touched absent pages.
    package let faults = FaultCounters()
    /// For how long vCPUs have been blocked.
    package let blockTimes: BlockTimes
    /// What went wrong first on any receiving thread.
    package let failure: FirstFailure
    /// Readable once every page is installed.
    package let complete: EventFD
    /// Readable once the fault readers are to end.
    package let stopReaders: EventFD

    private let digestLow = Atomic<UInt64>(0)
    private let digestHigh = Atomic<UInt64>(0)
    /// What is known of the precopy rounds.
    let rounds: IncomingRounds
    private let precopied = Atomic<Int>(0)
    private let discarded = Atomic<Int>(0)
    private let requested = Atomic<Int>(0)
    private let prefetched = Atomic<Int>(0)
    private let streamed = Atomic<Int>(0)
    private let zero = Atomic<Int>(0)
    private let duplicate = Atomic<Int>(0)

    private let firstFault = Atomic<UInt64>(0)
    private let lastPage = Atomic<UInt64>(0)
    private let requestsSent = Atomic<Int>(0)
    private let pagesAnswered = Atomic<Int>(0)
    private let streamsOpen: Atomic<Int>

    /// All pages absent, and touches of them reported from now on.
    ///
    /// - Parameters:
    ///   - ram: The guest's memory, untouched.
    ///   - exits: The switch for memory-fault exits of the guest's VM.
    ///   - userfault: Reports all other touches.
    ///   - streams: Bulk lanes.
    ///   - vCPUs: The guest's vCPUs.
    /// - Throws: What the kernel refuses.
    package init(
        of ram: GuestRAM,
        exits: FaultExits,
        userfault: Userfaultfd,
        streams: Int,
        vCPUs: Int
    ) throws(MigrationError) {
        self.ram = ram
        blockTimes = BlockTimes(vCPUs: vCPUs)
        self.userfault = userfault
        self.exits = exits
        streamsOpen = Atomic(streams)
        do {
            let pageCount = ram.layout.pageCount
            pages = try PageMap(pageCount: pageCount)
            let pagesPerHostPage = ram.backing.pagesPerHostPage
            hostPages =
                pagesPerHostPage == 1
                ? nil : try HostPageMap(pageCount: pageCount, pagesPerHostPage: pagesPerHostPage)
            failure = try FirstFailure()
            complete = try EventFD()
            stopReaders = try EventFD()
            rounds = try IncomingRounds(lanes: streams)
            try userfault.register(
                address: ram.mapping.address,
                byteCount: ram.mapping.byteCount,
                mode: Userfaultfd.Mode(for: ram.backing)
            )
        } catch {
            throw .system(error)
        }
    }

    /// Ends the reports of touches; whoever still sleeps in one is woken.
    package func unregister() throws(SystemError) {
        try userfault.unregister(
            address: ram.mapping.address,
            byteCount: ram.mapping.byteCount
        )
    }

    /// Host virtual address of a page.
    func address(of range: PageRange) -> UInt {
        ram.mapping.address + UInt(range.byteOffset)
    }

    /// The pages that are present now.
    var present: some Sequence<PageIndex> {
        (0..<pages.pageCount).lazy.map { PageIndex($0) }
            .filter { [pages] in pages.state(of: $0) == .installed }
    }

    // MARK: Host pages

    /// Notes that a request for an absent page goes out: for the whole host page, by the number of
    /// its first page.
    ///
    /// - Returns: The state before. The caller sends the request when that was `.absent`, and only
    ///   then.
    func markRequested(_ page: PageIndex) -> PageState {
        guard let hostPages else { return pages.markRequested(page) }
        if pages.state(of: page) == .installed { return .installed }
        // Some of its pages may have come with the stream. The answer overtakes the others.
        return hostPages.markRequested(page) ? .absent : .requested
    }

    /// Whether an answer may be what makes a page present: nobody else is installing it.
    func mayComeByAnswer(_ page: PageIndex) -> Bool {
        let state = pages.state(of: page)
        return hostPages == nil ? state == .requested : state != .installed
    }

    /// What can be made present once claimed pages have been written.
    ///
    /// - Parameter range: Pages of one host page, where a host page has several.
    /// - Returns: These pages, or their whole host page if they were the last of it; nil while
    ///   others of it are still to come.
    func complete(_ range: PageRange) -> PageRange? {
        guard let hostPages else { return range }
        return hostPages.fill(range) ? ram.hostPage(of: range.first) : nil
    }

    // MARK: Counting

    /// How a page came.
    package enum Arrival { case answer, prefetch, stream, round }

    /// Adds pages that have been made present to the totals; call before they are published, so
    /// that whoever sees that no page is missing finds all counted.
    func count(_ pageCount: Int, zeroCount: Int, digest: PageDigest, _ arrival: Arrival) {
        digestLow.wrappingAdd(digest.low, ordering: .relaxed)
        digestHigh.wrappingAdd(digest.high, ordering: .relaxed)
        switch arrival {
        case .answer: requested.wrappingAdd(pageCount, ordering: .relaxed)
        case .prefetch: prefetched.wrappingAdd(pageCount, ordering: .relaxed)
        case .stream: streamed.wrappingAdd(pageCount, ordering: .relaxed)
        case .round: precopied.wrappingAdd(pageCount, ordering: .relaxed)
        }
        if zeroCount != 0 { zero.wrappingAdd(zeroCount, ordering: .relaxed) }
    }

    /// Drops pages that came in a precopy round and have been written at the source since.
    ///
    /// For one thread, while the guest does not run and no round is under way.
    ///
    /// - Parameters:
    ///   - range: What to drop.
    ///   - buffer: Room for a page.
    /// - Throws: ``InstallFailure``: a page that has not come, or a part of a host page.
    func discard(
        _ range: PageRange,
        through buffer: UnsafeMutableRawBufferPointer
    ) throws(InstallFailure) {
        let first = range.first.rawValue
        let pagesPerHostPage = ram.backing.pagesPerHostPage
        guard first % pagesPerHostPage == 0, range.count % pagesPerHostPage == 0 else {
            throw .defect(.discard(page: UInt64(first)))
        }
        for number in first..<first + range.count where !pages.reclaim(PageIndex(number)) {
            throw .defect(.discard(page: UInt64(number)))
        }
        var digest = PageDigest()
        var zeroCount = 0
        do {
            for number in first..<first + range.count {
                let page = PageIndex(number)
                unsafe try ram.copy(PageRange(first: page, count: 1), into: buffer)
                if unsafe digest.add(page, contents: .init(buffer)) { zeroCount += 1 }
            }
            try exits.becameAbsent(range)
            try ram.discard(range)
        } catch {
            throw .system(error)
        }
        if let hostPages {
            for number in stride(from: first, to: first + range.count, by: pagesPerHostPage) {
                hostPages.empty(PageIndex(number))
            }
        }
        pages.markAbsent(range)
        count(-range.count, zeroCount: -zeroCount, digest: PageDigest().without(digest), .round)
        discarded.wrappingAdd(range.count, ordering: .relaxed)
    }

    /// Publishes pages that have been made present, and wakes who waits for them.
    func publish(_ run: PageRange, _ wake: Installer.Wake) throws(SystemError) {
        try exits.becamePresent(run)
        let installation = pages.markInstalled(run)
        if installation.hasUserfaultWaiter {
            if wake == .onlyKnownWaiters {
                try userfault.wake(address: address(of: run), byteCount: run.byteCount)
            }
            blockTimes.end(on: run, at: .now)
        }
        if installation.remainingCount == 0 {
            lastPage.store(MonotonicTime.now.nanoseconds, ordering: .releasing)
            complete.signal()
        }
    }

    /// Lets a vCPU go on that left KVM_RUN for an installed page, which the kernel has taken from
    /// the page tables since: swapped out, unmapped, write-protected.
    ///
    /// For vCPU threads: the call may itself sleep in userfaultfd, until a fault reader helps.
    func repair(_ page: PageIndex) throws(SystemError) {
        let range = ram.hostPage(of: page)
        if try isContinued(range) {
            faults.countContinued()
        } else {
            try ram.mapping.populate(offset: range.byteOffset, byteCount: range.byteCount)
            faults.countPopulated()
        }
    }

    /// Wakes a thread whose event was read although its page is installed.
    ///
    /// Never sleeps.
    func wakeLate(_ page: PageIndex) throws(SystemError) {
        let range = ram.hostPage(of: page)
        if try isContinued(range) {
            faults.countContinued()
        } else {
            try userfault.wake(address: address(of: range), byteCount: range.byteCount)
        }
        blockTimes.end(on: range, at: .now)
    }

    /// Maps a host page of a file again; false when it is mapped, or no longer registered.
    private func isContinued(_ range: PageRange) throws(SystemError) -> Bool {
        guard ram.backing.isFile else { return false }
        let address = address(of: range)
        for _ in 0..<1000 {
            do {
                switch try userfault.continue(address: address, byteCount: range.byteCount) {
                case .installed, .partly: return true
                case .alreadyPresent: return false
                case .retry: yieldProcessor()
                }
            } catch {
                // The last page has arrived, and reports have ended.
                if pages.remainingCount == 0 { return false }
                throw error
            }
        }
        return false
    }

    /// A page came that another thread installs or has installed.
    func countDuplicate() {
        duplicate.wrappingAdd(1, ordering: .relaxed)
    }

    /// Requests went out; `instant` is when their faults were seen.
    ///
    /// A request is for one host page.
    func countRequests(_ count: Int, at instant: MonotonicTime) {
        requestsSent.wrappingAdd(count, ordering: .relaxed)
        _ = firstFault.compareExchange(
            expected: 0,
            desired: instant.nanoseconds,
            ordering: .relaxed
        )
    }

    /// Pages came as answers to requests.
    func countAnswers(pages count: Int) {
        pagesAnswered.wrappingAdd(count, ordering: .relaxed)
    }

    /// One bulk lane has come to its end.
    func countStreamEnd() {
        streamsOpen.wrappingSubtract(1, ordering: .releasing)
    }

    /// Whether the source has sent every page once.
    var isStreamOver: Bool { streamsOpen.load(ordering: .acquiring) <= 0 }

    /// The totals so far.
    package var totals: IncomingTotals {
        IncomingTotals(
            digest: PageDigest(
                low: digestLow.load(ordering: .relaxed),
                high: digestHigh.load(ordering: .relaxed)
            ),
            installed: pages.pageCount - pages.remainingCount,
            // A source that breaks the rules may have pages discarded that never came in a round.
            precopied: max(0, precopied.load(ordering: .relaxed)),
            discarded: discarded.load(ordering: .relaxed),
            requested: requested.load(ordering: .relaxed),
            prefetched: prefetched.load(ordering: .relaxed),
            streamed: streamed.load(ordering: .relaxed),
            zero: max(0, zero.load(ordering: .relaxed)),
            duplicate: duplicate.load(ordering: .relaxed),
            requestsSent: requestsSent.load(ordering: .relaxed),
            requestsAnswered: pagesAnswered.load(ordering: .relaxed)
                / ram.backing.pagesPerHostPage,
            firstFault: Self.instant(firstFault.load(ordering: .relaxed)),
            lastPage: Self.instant(lastPage.load(ordering: .acquiring))
        )
    }

    private static func instant(_ nanoseconds: UInt64) -> MonotonicTime? {
        nanoseconds == 0 ? nil : MonotonicTime(nanoseconds: nanoseconds)
    }
}

/// What a destination has received.
package struct IncomingTotals {
    /// Digest of the installed pages, as they arrived.
    package let digest: PageDigest
    /// Pages that are present.
    package let installed: Int
    /// Of these, from precopy rounds.
    let precopied: Int
    /// Pages from precopy rounds that were dropped, as they had been written since.
    let discarded: Int
    /// Of these, from an answer to a request.
    package let requested: Int
    /// Of these, sent before anybody asked, since requests were on their way to them.
    package let prefetched: Int
    /// Of these, from the background stream.
    package let streamed: Int
    /// Of these, zero pages.
    package let zero: Int
    /// Pages that came once more, and were dropped.
    package let duplicate: Int
    /// Requests, each for one host page.
    package let requestsSent: Int
    /// Requests whose answers have come whole.
    package let requestsAnswered: Int
    /// When the first touch of an absent page was seen.
    package let firstFault: MonotonicTime?
    /// When the last page was installed.
    package let lastPage: MonotonicTime?
}

extension Userfaultfd.Mode {
    /// What has to be reported of memory of some kind.
    package init(for backing: Backing) {
        switch backing {
        case .anonymous: self = .missing
        case .memfd, .hugetlb: self = .missingAndMinor
        }
    }
}
