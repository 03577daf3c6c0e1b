// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import LinuxSystem
import MigrationWire
import Synchronization
import Transport

/// A source of pages in this process: answers requests, at once or when it is let, and streams
/// what it is told to.
final class PageSource: Sendable {
    /// A request that has come.
    struct Request: Equatable, Sendable {
        let page: PageIndex
        let requestClass: RequestClass
        let lane: LaneName
    }

    private let pageCount: Int
    private let pagesPerRequest: Int
    private let zeroPages: Set<PageIndex>
    private let received = Mutex<[Request]>([])
    private let answersAreHeld = FutexWord(0)
    private let hasEnded = Atomic<Bool>(false)

    init(pageCount: Int, pagesPerRequest: Int, zeroPages: Set<PageIndex>) {
        self.pageCount = pageCount
        self.pagesPerRequest = pagesPerRequest
        self.zeroPages = zeroPages
    }

    /// Requests so far, in the order in which they came.
    var requests: [Request] { received.withLock { $0 } }

    /// Requests for one page.
    func requests(for page: PageIndex) -> [Request] { requests.filter { $0.page == page } }

    /// From now on requests are taken, and not answered.
    func holdAnswers() { answersAreHeld.store(1) }

    /// Answers what is waiting, and from now on at once.
    func releaseAnswers() { answersAreHeld.store(0) }

    /// No answer is sent any more, and nobody waits to send one.
    func end() {
        hasEnded.store(true, ordering: .releasing)
        releaseAnswers()
    }

    /// What a page holds.
    func contents(of page: PageIndex) -> [UInt8] {
        if let bytes = CommandedGuest.image[page.rawValue] { return bytes }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(GuestPage.byteCount)
        for offset in stride(from: 0, to: GuestPage.byteCount, by: 4) {
            let word = word(of: page, at: offset)
            for shift in stride(from: UInt32(0), to: 32, by: 8) {
                bytes.append(UInt8(truncatingIfNeeded: word >> shift))
            }
        }
        return bytes
    }

    /// Four bytes of a page, no two pages alike.
    func word(of page: PageIndex, at offset: Int = 0) -> UInt32 {
        if zeroPages.contains(page) { return 0 }
        let mark = UInt32(truncatingIfNeeded: page.rawValue) &* 0x9E37_79B1 &+ UInt32(offset)
        // Every other page cannot be compressed.
        return page.rawValue % 2 == 0 ? mark : (mark ^ mark >> 15) &* 0x85EB_CA6B
    }

    // MARK: Threads

    /// Answers the requests of an urgent lane until it ends; the body of a thread.
    func answer(on lane: any Lane) {
        var reader = FrameReader(lane)
        var batch = PageBatch()
        var sequence: UInt64 = 0
        do {
            while true {
                let frame = unsafe try reader.next()
                let header = unsafe frame.header
                var pages: [PageIndex] = []
                for index in 0..<header.entryCount {
                    let entry = unsafe try RequestEntry(
                        index,
                        of: frame.body,
                        pageCount: pageCount
                    )
                    let request = Request(
                        page: entry.page,
                        requestClass: entry.requestClass,
                        lane: lane.name
                    )
                    received.withLock { $0.append(request) }
                    let first = entry.page.rawValue / pagesPerRequest * pagesPerRequest
                    pages += (first..<first + pagesPerRequest).map { PageIndex($0) }
                }
                while answersAreHeld.value == 1 { answersAreHeld.wait(while: 1, timeout: nil) }
                if hasEnded.load(ordering: .acquiring) { return }
                for start in stride(from: 0, to: pages.count, by: WireLimits.entriesPerFrame) {
                    batch.begin()
                    let end = min(start + WireLimits.entriesPerFrame, pages.count)
                    for page in pages[start..<end] { append(page, to: &batch) }
                    try send(&batch, on: lane, sequence: sequence, token: header.token)
                    sequence += 1
                }
            }
        } catch {
            // The lane has ended.
        }
    }

    /// Sends pages that nobody has asked for; frames are numbered from zero on each lane.
    func stream(_ pages: some Sequence<PageIndex>, on lane: any Lane, frame: UInt64) throws {
        var batch = PageBatch()
        batch.begin()
        for page in pages { append(page, to: &batch) }
        try send(&batch, on: lane, sequence: frame, token: 0)
    }

    private func append(_ page: PageIndex, to batch: inout PageBatch) {
        // Whole words, as the test for zero pages wants them aligned.
        let contents = contents(of: page)
        unsafe contents.withUnsafeBytes { bytes in
            _ = unsafe batch.append(page, contents: bytes)
        }
    }

    private func send(
        _ batch: inout PageBatch,
        on lane: any Lane,
        sequence: UInt64,
        token: UInt64
    ) throws(LaneError) {
        _ = unsafe try batch.finish(sequence: sequence, token: token) {
            header,
            payload throws(LaneError) in
            unsafe try lane.send(header, payload)
        }
    }
}
