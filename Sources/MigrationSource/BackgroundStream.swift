// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import MigrationWire
package import Transport

/// Sends every page that has not been sent, on one bulk lane; the body of a thread.
///
/// Waits until it may: in each precopy round, and in postcopy. Then it goes on from the neighbourhood of the last request, makes way
/// for requests, and sends first what is likely to be requested next.
///
/// - Parameters:
///   - memory: Where pages come from.
///   - lane: Where they go.
///   - index: The lane's number among the bulk ones.
package func streamMemory(_ memory: OutgoingMemory, on lane: any Lane, index: Int) {
    standBack()
    do {
        var stream = BackgroundStream(memory, on: lane, index: index)
        try stream.run()
    } catch {
        memory.failure.report(.lane(error))
    }
}

/// The stream on one bulk lane; owned by one thread.
@safe private struct BackgroundStream: ~Copyable {
    private let memory: OutgoingMemory
    private let lane: any Lane
    /// Streams that start near the same page keep out of each other's words of the bitmap.
    private let distance: Int
    /// A page as it was at one moment: in a round the guest may change it any time.
    private let copy: UnsafeMutableRawBufferPointer

    private var batch = PageBatch()
    private var sequence: UInt64 = 0
    private var pace = StreamPace()
    private var cursor = PageIndex(0)
    private var neighbourhood: PageIndex?

    init(_ memory: OutgoingMemory, on lane: any Lane, index: Int) {
        self.memory = memory
        self.lane = lane
        distance = index * 64
        unsafe copy = .allocate(byteCount: GuestPage.byteCount, alignment: GuestPage.byteCount)
        moveCursor(to: distance)
    }

    deinit {
        unsafe copy.deallocate()
    }

    /// Sends round after round, then in postcopy, until there is nothing left or it is to end.
    mutating func run() throws(LaneError) {
        var round = 0
        while true {
            switch memory.awaitTurn(after: round) {
            case .round(let number):
                round = number
                try send(round: number)
            case .postcopy:
                try stream()
                digestKept()
                return
            case .over: return
            }
        }
    }

    /// Sends what is unsent while the guest runs.
    private mutating func send(round: Int) throws(LaneError) {
        let only = memory.pagesOfRound
        // Few, and in an order: one of the lanes sends them all.
        var rest = (distance == 0 ? only ?? [] : [])[...]
        while !memory.isStopped {
            let serial = memory.streamSerial
            if let wait = memory.capWait {
                memory.rest(since: serial, for: wait)
                continue
            }
            let pages = only == nil ? takeRun() : take(&rest)
            guard !pages.isEmpty else {
                try sendEnd(.endOfRound, token: UInt64(round))
                return
            }
            batch.begin()
            var zeroPages = 0
            for page in pages {
                unsafe copy.copyMemory(
                    from: .init(memory.ram.bytes(of: PageRange(first: page, count: 1)))
                )
                // A guest's kernel is sent as it is: the sooner it is there, the less of it has been
                // written again, and the sooner the guest moves.
                let encoding = unsafe batch.append(
                    page,
                    contents: .init(copy),
                    isCompressed: only == nil
                )
                if encoding == .zero { zeroPages += 1 }
            }
            memory.countRound(pages: pages.count, zeroPages: zeroPages)
            memory.payForStream(byteCount: try sendBatch(token: FrameHeader.precopyToken))
        }
    }

    /// Takes a frame of unsent pages, from the cursor on.
    private mutating func takeRun() -> [PageIndex] {
        guard let run = memory.takeRun(from: cursor, mostPages: WireLimits.entriesPerFrame)
        else { return [] }
        moveCursor(to: run.first.rawValue + run.count)
        return (0..<run.count).map { PageIndex(run.first.rawValue + $0) }
    }

    /// Takes a frame of unsent pages from the beginning of a list.
    private func take(_ rest: inout ArraySlice<PageIndex>) -> [PageIndex] {
        var pages: [PageIndex] = []
        while pages.isEmpty, !rest.isEmpty {
            pages = rest.prefix(WireLimits.entriesPerFrame).filter { memory.take($0) }
            rest = rest.dropFirst(WireLimits.entriesPerFrame)
        }
        return pages
    }

    /// Adds pages to the digest that came in a round and stayed: as they are at the pause, so that
    /// a write that nobody has noticed is found.
    private mutating func digestKept() {
        while memory.isStreaming, memory.hasKeptPages {
            let serial = memory.streamSerial
            // Not in the pause.
            guard memory.resumed != nil else {
                memory.rest(since: serial, for: .milliseconds(100))
                continue
            }
            guard let run = memory.takeKept(from: cursor) else { return }
            moveCursor(to: run.first.rawValue + run.count)
            var digest = PageDigest()
            for number in run.first.rawValue..<run.first.rawValue + run.count {
                let page = PageIndex(number)
                unsafe digest.add(
                    page,
                    contents: .init(memory.ram.bytes(of: PageRange(first: page, count: 1)))
                )
            }
            memory.count(digest, firstTime: run.count, pages: 0)
        }
    }

    /// Sends what is unsent while the guest runs at the destination.
    private mutating func stream() throws(LaneError) {
        try sendFirst(memory.takeFirstPages())
        while memory.isStreaming {
            let serial = memory.streamSerial
            if let window = memory.takeWindow() {
                try send(window)
                continue
            }
            let start = MonotonicTime.now
            let lastRequest = memory.lastRequest
            let rest = pace.rest(at: start, lastRequest: lastRequest, resumed: memory.resumed)
            if let rest = rest ?? memory.capWait {
                memory.rest(since: serial, for: rest)
                continue
            }
            followRequests()
            let isPressed = StreamPace.isPressed(at: start, lastRequest: lastRequest)
            let most = isPressed ? StreamPace.smallBatchPages : StreamPace.batchPages
            guard let run = memory.takeRun(from: cursor, mostPages: most) else {
                try sendEnd(.endOfStream, token: 0)
                return
            }
            moveCursor(to: run.first.rawValue + run.count)
            try send(run)
            pace.worked(from: start, to: .now)
        }
    }

    private mutating func followRequests() {
        guard let page = memory.neighbourhood, page != neighbourhood else { return }
        neighbourhood = page
        moveCursor(to: page.rawValue + distance)
    }

    private mutating func moveCursor(to page: Int) {
        cursor = PageIndex(page % memory.ram.layout.pageCount)
    }

    private mutating func send(_ run: PageRange) throws(LaneError) {
        var digest = PageDigest()
        batch.begin()
        for number in run.first.rawValue..<run.first.rawValue + run.count {
            append(PageIndex(number), &digest)
        }
        let byteCount = try finish(digest, token: FrameHeader.streamToken)
        memory.payForStream(byteCount: byteCount)
    }

    /// Sends single pages, in their order, until the guest goes on: then it asks for those it needs.
    ///
    /// Not compressed, so that more of them get out by then.
    private mutating func sendFirst(_ pages: [PageIndex]) throws(LaneError) {
        var rest = pages[...]
        while !rest.isEmpty, memory.isStreaming, memory.resumed == nil {
            var digest = PageDigest()
            batch.begin()
            for page in rest.prefix(StreamPace.batchPages) where memory.take(page) {
                append(page, &digest, isCompressed: false)
            }
            rest = rest.dropFirst(StreamPace.batchPages)
            guard batch.pageCount > 0 else { continue }
            memory.payForStream(byteCount: try finish(digest, token: FrameHeader.streamToken))
        }
        // The destination is loading the state, and may need all its processors for that.
        while !pages.isEmpty, memory.isStreaming {
            let serial = memory.streamSerial
            guard memory.resumed == nil else { return }
            memory.rest(since: serial, for: .milliseconds(100))
        }
    }

    /// Sends what is unsent of a window.
    private mutating func send(_ window: PrefetchWindow) throws(LaneError) {
        var digest = PageDigest()
        batch.begin()
        for index in 0..<window.count where memory.take(window[index]) {
            append(window[index], &digest)
        }
        if batch.pageCount > 0 { _ = try finish(digest, token: FrameHeader.prefetchToken) }
    }

    private mutating func append(
        _ page: PageIndex,
        _ digest: inout PageDigest,
        isCompressed: Bool = true
    ) {
        let contents = unsafe UnsafeRawBufferPointer(
            memory.ram.bytes(of: PageRange(first: page, count: 1))
        )
        let encoding = unsafe batch.append(page, contents: contents, isCompressed: isCompressed)
        unsafe digest.add(page, contents: contents, as: encoding)
    }

    /// Sends the batch, whose pages go out for the first time.
    ///
    /// - Returns: Bytes of the frame.
    private mutating func finish(
        _ digest: PageDigest,
        token: UInt64
    ) throws(LaneError) -> Int {
        memory.count(digest, firstTime: batch.pageCount, pages: batch.pageCount)
        return try sendBatch(token: token)
    }

    private mutating func sendBatch(token: UInt64) throws(LaneError) -> Int {
        let lane = lane
        let byteCount = unsafe try batch.finish(
            sequence: sequence,
            token: token
        ) { header, payload throws(LaneError) in
            unsafe try lane.send(header, payload)
        }
        sequence += 1
        memory.countWire(byteCount: byteCount)
        return byteCount
    }

    private mutating func sendEnd(_ kind: FrameKind, token: UInt64) throws(LaneError) {
        let header = FrameHeader(
            kind: kind,
            entryCount: 0,
            payloadByteCount: 0,
            sequence: sequence,
            token: token
        )
        sequence += 1
        let lane = lane
        var bytes = InlineArray<32, UInt8>(repeating: 0)
        var span = bytes.mutableSpan
        unsafe try span.withUnsafeMutableBytes { buffer throws(LaneError) in
            unsafe header.write(to: buffer)
            unsafe try lane.send(UnsafeRawBufferPointer(buffer), .init(start: nil, count: 0))
        }
    }
}
