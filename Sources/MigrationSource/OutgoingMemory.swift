// SPDX-License-Identifier: Apache-2.0

package import GuestMemory
package import LinuxSystem
internal import MigrationWire
private import Synchronization
package import Transport

/// Guest memory on its way out: what has been sent, and what all senders have to know.
///
/// Shared by the urgent servers and the background stream. From the pause on the bytes do not
/// change; before it, in precopy rounds, they may.
package final class OutgoingMemory: Sendable {
    /// The guest's memory.
    let ram: GuestRAM
    /// What went wrong first on any sending thread.
    package let failure: FirstFailure
    private let sent: PageBitmap
    /// Pages whose contents at the pause are in the digest, or will be once they are sent.
    private let digested: PageBitmap
    private let hasKept = Atomic<Bool>(false)

    private let digestLow = Atomic<UInt64>(0)
    private let digestHigh = Atomic<UInt64>(0)
    private let pagesSent = Atomic<Int>(0)
    private let pagesCovered = Atomic<Int>(0)
    private let zeroSent = Atomic<Int>(0)
    private let bytesRaw = Atomic<Int>(0)
    private let bytesWire = Atomic<Int>(0)

    private let isOpen = Atomic<Bool>(false)
    private let requestsInWork = Atomic<Int>(0)
    private let lastRequested = Atomic<Int>(-1)
    private let lastRequestTime = Atomic<UInt64>(0)
    private let resumedTime = Atomic<UInt64>(0)
    private let hints = PrefetchHints()
    private let isCapped = Atomic<Bool>(false)
    private let cap = Locked<TokenBucket?>(nil)
    private let firstPages = Locked<[PageIndex]>([])
    private let roundPages = Locked<[PageIndex]?>(nil)
    private let pagesEachRequest = Atomic<Int>(1)
    private let prefetch = Atomic<Int>(0)
    /// A ``StreamGate`` in the lowest bits, above them the number of a precopy round; written by the
    /// thread that steers, and by no other.
    private let streamGate = Atomic<UInt32>(StreamGate.held.rawValue)
    /// Where streaming threads sleep: counts what they may have to wake up for, whoever it is from.
    private let streamBell = FutexWord(0)

    private enum StreamGate: UInt32 {
        case held, open, stopped, round

        static let mask: UInt32 = 0b11
        static let oneRound: UInt32 = 0b100
    }

    /// Nothing sent yet.
    package init(ram: GuestRAM) throws(SystemError) {
        self.ram = ram
        sent = try PageBitmap(pageCount: ram.layout.pageCount)
        digested = try PageBitmap(pageCount: ram.layout.pageCount)
        failure = try FirstFailure()
    }

    // MARK: What has been sent

    /// Takes a page for an answer; true when it goes out for the first time.
    func take(_ page: PageIndex) -> Bool { sent.insert(page) }

    /// Takes the next run for the stream: unsent pages at `start` or behind it, then from the
    /// first page on; nil when every page has been sent.
    func takeRun(from start: PageIndex, mostPages: Int) -> PageRange? {
        sent.takeRun(from: start, mostPages: mostPages)
    }

    /// Takes pages back that have been written since they were sent: they are to be sent again.
    ///
    /// By whole host pages of the destination. While no round is under way.
    ///
    /// - Returns: Those that had been sent, for the destination to discard.
    func takeBackWritten() -> DiscardList {
        var list = DiscardList()
        let group = max(1, pagesEachRequest.load(ordering: .relaxed) / 64)
        for first in stride(from: 0, to: sent.wordCount, by: group) {
            let words = first..<min(first + group, sent.wordCount)
            var written: UInt64 = 0
            for word in words { written |= ram.written.takeBits(ofWord: word) }
            guard written != 0 else { continue }
            for word in words {
                let bits = group == 1 ? written : sent.validBits(ofWord: word)
                list.append(sent.remove(bits, fromWord: word), ofWord: word)
            }
        }
        return list
    }

    /// Pages that the next round, or postcopy, has to send.
    var unsentCount: Int {
        (0..<sent.wordCount).reduce(0) { count, word in
            count + (sent.validBits(ofWord: word) & ~sent.bits(ofWord: word)).nonzeroBitCount
        }
    }

    /// Pages that the round under way still has to send.
    var unsentInRound: Int {
        guard let pages = pagesOfRound else { return unsentCount }
        return pages.count { !sent.contains($0) }
    }

    /// The guest is paused, and what it had written is taken back: the pages that are sent now stay
    /// where they are, and count with what they hold now.
    func keepSent() {
        for word in 0..<sent.wordCount {
            digested.insert(~sent.bits(ofWord: word), inWord: word)
        }
        hasKept.store(true, ordering: .releasing)
    }

    /// Whether pages stayed; known before the stream begins.
    var hasKeptPages: Bool { hasKept.load(ordering: .acquiring) }

    /// Takes pages that stayed, for the digest, as `takeRun` does; nil when there are no more.
    func takeKept(from start: PageIndex) -> PageRange? {
        guard hasKeptPages else { return nil }
        return digested.takeRun(from: start, mostPages: WireLimits.entriesPerFrame)
    }

    /// Adds pages of a precopy round to the totals, which the digest does not know.
    func countRound(pages: Int, zeroPages: Int) {
        pagesSent.wrappingAdd(pages, ordering: .relaxed)
        zeroSent.wrappingAdd(zeroPages, ordering: .relaxed)
        bytesRaw.wrappingAdd(pages * GuestPage.byteCount, ordering: .relaxed)
    }

    /// Adds to the totals, before the pages are sent.
    ///
    /// - Parameters:
    ///   - digest: Of the pages that go out for the first time.
    ///   - firstTime: How many those are.
    ///   - pages: How many go out.
    func count(_ digest: PageDigest, firstTime: Int, pages: Int) {
        digestLow.wrappingAdd(digest.low, ordering: .relaxed)
        digestHigh.wrappingAdd(digest.high, ordering: .relaxed)
        pagesCovered.wrappingAdd(firstTime, ordering: .releasing)
        pagesSent.wrappingAdd(pages, ordering: .relaxed)
        bytesRaw.wrappingAdd(pages * GuestPage.byteCount, ordering: .relaxed)
    }

    /// Adds to the bytes sent on page lanes, headers included.
    func countWire(byteCount: Int) {
        bytesWire.wrappingAdd(byteCount, ordering: .relaxed)
    }

    /// The totals so far.
    var totals: OutgoingTotals {
        OutgoingTotals(
            pagesCovered: pagesCovered.load(ordering: .acquiring),
            digest: PageDigest(
                low: digestLow.load(ordering: .relaxed),
                high: digestHigh.load(ordering: .relaxed)
            ),
            pagesSent: pagesSent.load(ordering: .relaxed),
            zeroSent: zeroSent.load(ordering: .relaxed),
            bytesRaw: bytesRaw.load(ordering: .relaxed),
            bytesWire: bytesWire.load(ordering: .relaxed)
        )
    }

    // MARK: Urgent before bulk

    /// The guest is paused: from now on requests may be answered.
    package func openForRequests() { isOpen.store(true, ordering: .releasing) }

    /// Whether requests may be answered; before the pause their pages would still change.
    var isOpenForRequests: Bool { isOpen.load(ordering: .acquiring) }

    /// A request is being answered.
    func beginAnswer(near page: PageIndex) {
        requestsInWork.wrappingAdd(1, ordering: .relaxed)
        lastRequested.store(page.rawValue, ordering: .relaxed)
        lastRequestTime.store(MonotonicTime.now.nanoseconds, ordering: .relaxed)
    }

    /// The answer has been sent.
    func endAnswer() {
        requestsInWork.wrappingSubtract(1, ordering: .relaxed)
    }

    /// Requests that are being answered now.
    var requestsOutstanding: Int { requestsInWork.load(ordering: .relaxed) }

    /// The page requested last; nil before the first request.
    var neighbourhood: PageIndex? {
        let page = lastRequested.load(ordering: .relaxed)
        return page < 0 ? nil : PageIndex(page)
    }

    /// When the last request came; nil before the first one.
    var lastRequest: MonotonicTime? {
        let nanoseconds = lastRequestTime.load(ordering: .relaxed)
        return nanoseconds == 0 ? nil : MonotonicTime(nanoseconds: nanoseconds)
    }

    /// The guest goes on at the destination about now.
    package func noteResumed() {
        resumedTime.store(MonotonicTime.now.nanoseconds, ordering: .relaxed)
        // The stream may wait for it.
        streamBell.add(1)
    }

    /// When the guest went on at the destination; nil before it has.
    var resumed: MonotonicTime? {
        let nanoseconds = resumedTime.load(ordering: .relaxed)
        return nanoseconds == 0 ? nil : MonotonicTime(nanoseconds: nanoseconds)
    }

    /// Whether the guest has just gone on, and whatever can wait should leave processors to it.
    var isSettling: Bool {
        resumed.map { .now < $0.advanced(by: Phase.settling) } ?? false
    }

    /// The pages that a request for one of them stands for.
    func pages(requestedBy page: PageIndex) -> PageRange {
        let count = pagesEachRequest.load(ordering: .relaxed)
        return PageRange(first: PageIndex(page.rawValue / count * count), count: count)
    }

    // MARK: Prefetch

    /// The most pages near a request that are sent unasked.
    var prefetchPages: Int { prefetch.load(ordering: .relaxed) }

    /// Has a streaming thread send what is likely to be requested next.
    ///
    /// - Parameters:
    ///   - window: What that is.
    ///   - lane: Index of the urgent lane whose requests led to it.
    func sendUnasked(_ window: PrefetchWindow, from lane: Int) {
        hints.post(window, from: lane)
        streamBell.add(1)
    }

    /// What is to be sent unasked, before anything else in the stream.
    func takeWindow() -> PrefetchWindow? { hints.take() }

    // MARK: Stream

    /// Sets what the destination has asked for; before the first request is read.
    ///
    /// - Parameters:
    ///   - pagesPerRequest: Pages that a request stands for, aligned to as many.
    ///   - prefetchPages: The most pages near a request that are sent unasked.
    ///   - bytesPerSecond: The most the stream may send, over all lanes; zero for no limit.
    package func serve(pagesPerRequest: Int, prefetchPages: Int, bytesPerSecond: UInt64) {
        pagesEachRequest.store(pagesPerRequest, ordering: .relaxed)
        prefetch.store(prefetchPages, ordering: .relaxed)
        capStream(bytesPerSecond: bytesPerSecond)
    }

    /// Sets the most that streaming threads may send from now on.
    ///
    /// - Parameter bytesPerSecond: Over all lanes; zero for no limit.
    package func capStream(bytesPerSecond: UInt64) {
        cap.withLock {
            $0 = bytesPerSecond > 0 ? TokenBucket(bytesPerSecond: bytesPerSecond, at: .now) : nil
        }
        isCapped.store(bytesPerSecond > 0, ordering: .releasing)
        // Who rests for the old one need not.
        streamBell.add(1)
    }

    /// Pays for a frame of the stream, where it has a cap.
    func payForStream(byteCount: Int) {
        guard isCapped.load(ordering: .acquiring) else { return }
        cap.withLock { $0?.pay(byteCount: byteCount, at: .now) }
    }

    /// How long the stream's cap demands to wait; nil for not at all.
    var capWait: Duration? {
        guard isCapped.load(ordering: .acquiring) else { return nil }
        return cap.withLock { $0?.wait(at: .now) }
    }

    /// Lets streaming threads send what is unsent, each until nothing is left.
    ///
    /// - Parameters:
    ///   - number: Of the round, from 1.
    ///   - pages: All that the round is about; nil for the whole memory.
    package func openRound(_ number: Int, of pages: [PageIndex]? = nil) {
        roundPages.withLock { $0 = pages }
        moveGate(to: StreamGate.round.rawValue | UInt32(number) * StreamGate.oneRound)
    }

    /// All that the round under way is about; nil for the whole memory.
    var pagesOfRound: [PageIndex]? { roundPages.withLock { $0 } }

    /// Lets the background stream run.
    ///
    /// - Parameter pages: What it sends before anything else, in this order, as far as it gets
    ///   before the guest goes on.
    package func openStream(beginningWith pages: [PageIndex] = []) {
        firstPages.withLock { $0 = pages }
        moveGate(to: StreamGate.open.rawValue)
    }

    /// What the stream is to begin with, for the first of its threads that asks.
    func takeFirstPages() -> [PageIndex] {
        firstPages.withLock { pages in
            defer { pages = [] }
            return pages
        }
    }

    /// Ends the background stream after its present batch.
    package func stopStream() { moveGate(to: StreamGate.stopped.rawValue) }

    private func moveGate(to word: UInt32) {
        streamGate.store(word, ordering: .releasing)
        streamBell.add(1)
    }

    /// What a streaming thread is to do.
    enum StreamTurn: Equatable {
        /// Send what is unsent, as part of this precopy round.
        case round(Int)
        /// Send what is unsent, in postcopy.
        case postcopy
        /// End.
        case over
    }

    /// Waits for what a streaming thread is to do next.
    ///
    /// - Parameter round: The round that it has done last; zero for none.
    /// - Returns: What that is.
    func awaitTurn(after round: Int) -> StreamTurn {
        while true {
            // Before the look: a gate that moves after it rings, and that must not be slept on.
            let serial = streamSerial
            let word = streamGate.load(ordering: .acquiring)
            switch Self.state(word) {
            case .open: return .postcopy
            case .stopped: return .over
            case .round where Self.round(word) > round: return .round(Self.round(word))
            case .held, .round: rest(since: serial, for: .seconds(1))
            }
        }
    }

    /// Whether the stream is to go on.
    var isStreaming: Bool { Self.state(streamGate.load(ordering: .acquiring)) == .open }

    /// Whether streaming threads are to end.
    var isStopped: Bool { Self.state(streamGate.load(ordering: .acquiring)) == .stopped }

    /// What `rest` compares with; to be read before looking for something to do.
    var streamSerial: UInt32 { streamBell.value }

    /// Rests, unless something has come since `serial` was read, or comes.
    func rest(since serial: UInt32, for duration: Duration) {
        streamBell.wait(while: serial, timeout: duration)
    }

    private static func round(_ word: UInt32) -> Int { Int(word / StreamGate.oneRound) }

    private static func state(_ word: UInt32) -> StreamGate {
        StreamGate(rawValue: word & StreamGate.mask) ?? .stopped
    }
}

/// What a source has sent.
struct OutgoingTotals: Equatable, Sendable {
    /// Pages sent at least once.
    let pagesCovered: Int
    /// Digest of those pages.
    let digest: PageDigest
    /// Pages sent, repeated answers and all precopy rounds included.
    let pagesSent: Int
    /// Pages of zeros sent in precopy rounds.
    let zeroSent: Int
    /// Their bytes before compression.
    let bytesRaw: Int
    /// Bytes sent on page lanes, headers included.
    let bytesWire: Int
}
