// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import MigrationWire
package import Transport

/// Answers the requests of one urgent lane until the lane ends; the body of a thread.
///
/// A page that has been sent before is sent again: an answer may be repeated, never missing.
///
/// - Parameters:
///   - lane: Where requests come in.
///   - index: The lane's number among the urgent ones.
///   - memory: Where pages come from.
package func serveUrgentLane(_ lane: any Lane, index: Int, of memory: OutgoingMemory) {
    standReady()
    do {
        var server = UrgentServer(lane, index, memory)
        try server.run()
    } catch {
        memory.failure.report(.lane(error))
    }
}

/// The source's end of an urgent lane; owned by one thread.
private struct UrgentServer: ~Copyable {
    private let lane: any Lane
    private let index: Int
    private let memory: OutgoingMemory
    private var reader: FrameReader
    private var batch = PageBatch()
    private var sequence: UInt64 = 0
    private var detector: StrideDetector
    /// Of the pages in the batch, those that go out for the first time.
    private var digest = PageDigest()
    private var firstTime = 0

    init(_ lane: any Lane, _ index: Int, _ memory: OutgoingMemory) {
        self.lane = lane
        self.index = index
        self.memory = memory
        reader = FrameReader(lane)
        detector = StrideDetector(
            mostPages: memory.prefetchPages,
            pageCount: memory.ram.layout.pageCount
        )
    }

    mutating func run() throws(LaneError) -> Never {
        while true {
            let frame = unsafe try reader.next()
            let kind = unsafe frame.header.kind
            guard kind == .requests else {
                throw unsafe reader.violation(.kind(kind.rawValue), in: frame)
            }
            guard memory.isOpenForRequests else {
                throw unsafe reader.violation(
                    .unexpectedMessage("requests", expected: "the saved state first"),
                    in: frame
                )
            }
            let window = unsafe try answer(frame)
            memory.endAnswer()
            // Behind the answer, which waits for nothing.
            if let window { memory.sendUnasked(window, from: index) }
        }
    }

    /// - Returns: What is likely to be requested next.
    private mutating func answer(_ requests: Frame) throws(LaneError) -> PrefetchWindow? {
        let token = unsafe requests.header.token
        var window: PrefetchWindow?
        batch.begin()
        for index in 0..<(unsafe requests.header.entryCount) {
            let page = unsafe try page(index, of: requests)
            if index == 0 { memory.beginAnswer(near: page) }
            window = detector.observe(page) ?? window
            let range = memory.pages(requestedBy: page)
            for number in range.first.rawValue..<range.first.rawValue + range.count {
                if batch.pageCount == WireLimits.entriesPerFrame { try send(token) }
                append(PageIndex(number))
            }
        }
        try send(token)
        return window
    }

    private func page(_ index: Int, of requests: Frame) throws(LaneError) -> PageIndex {
        do {
            let pageCount = memory.ram.layout.pageCount
            return unsafe try RequestEntry(index, of: requests.body, pageCount: pageCount).page
        } catch {
            throw unsafe reader.violation(error, in: requests)
        }
    }

    private mutating func append(_ page: PageIndex) {
        let contents = unsafe UnsafeRawBufferPointer(
            memory.ram.bytes(of: PageRange(first: page, count: 1))
        )
        // A vCPU waits: LZ4 would cost it more than a lane takes for what it saves.
        let encoding = unsafe batch.append(page, contents: contents, isCompressed: false)
        if memory.take(page) {
            unsafe digest.add(page, contents: contents, as: encoding)
            firstTime += 1
        }
    }

    /// Sends the batch as an answer, and begins the next one.
    private mutating func send(_ token: UInt64) throws(LaneError) {
        memory.count(digest, firstTime: firstTime, pages: batch.pageCount)
        let lane = lane
        let byteCount = unsafe try batch.finish(
            sequence: sequence,
            token: token,
            servedNanoseconds: MonotonicTime.now.nanoseconds
        ) { header, payload throws(LaneError) in
            unsafe try lane.send(header, payload)
        }
        sequence += 1
        memory.countWire(byteCount: byteCount)
        digest = PageDigest()
        firstTime = 0
        batch.begin()
    }
}
