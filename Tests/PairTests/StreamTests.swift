// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import LinuxSystem
import MigrationSource
import MigrationWire
import Testing
import Transport

/// What the source's threads send, without anybody who drives a migration.
@Suite(.timeLimit(.minutes(1)))
struct StreamTests {
    @Test func `a walk that requests follow begins no round, before postcopy is opened`() throws {
        let source = try ServingSource()
        defer { source.end() }
        source.memory.openRound(1)
        var stream = FrameReader(source.bulk)
        while case let frame = unsafe try stream.next(), unsafe frame.header.kind == .pages {
            #expect(unsafe frame.header.token == FrameHeader.precopyToken)
        }
        source.memory.openForRequests()
        var answers = FrameReader(source.urgent)
        for number in 0..<8 {
            try source.request(page: PageIndex(100 + number), number: UInt64(number))
            #expect(unsafe try answers.next().header.kind == .pages)
        }
        // Behind the last answer the stream has been told of the walk.
        let isReadable = try waitUntilReadable(
            [source.bulk.rawDescriptor] as [CInt],
            timeout: .milliseconds(200)
        )[0]
        #expect(!isReadable, "a round that nobody has opened")
        source.memory.openStream()
        #expect(unsafe try stream.next().header.kind == .endOfStream)
    }

    @Test func `what is touched first is sent first, and as it is, until the guest goes on`() throws
    {
        for hasResumed in [false, true] {
            let source = try ServingSource()
            defer { source.end() }
            for page in [0, 900] { source.fill(PageIndex(page)) }
            let began = MonotonicTime.now
            if hasResumed { source.memory.noteResumed() }
            source.memory.openStream(beginningWith: [PageIndex(900)])
            var stream = FrameReader(source.bulk)
            let first = unsafe try source.firstEntry(of: stream.next())
            #expect(first.page == PageIndex(hasResumed ? 0 : 900))
            // LZ4 would make both of them smaller.
            #expect(first.encoding == (hasResumed ? .lz4 : .raw))
            if hasResumed {
                let quiet = StreamPace.settlingQuiet.wholeNanoseconds
                #expect(MonotonicTime.now.nanoseconds(since: began) >= quiet)
            }
        }
    }

    @Test func `a round over some pages sends them, in their order, and no others`() throws {
        let source = try ServingSource()
        defer { source.end() }
        let pages = (0..<100).map { PageIndex(1000 - 7 * $0) }
        source.memory.openRound(1, of: pages)
        var stream = FrameReader(source.bulk)
        var count = 0
        while case let frame = unsafe try stream.next(), unsafe frame.header.kind == .pages {
            #expect(unsafe frame.header.token == FrameHeader.precopyToken)
            let first = unsafe try source.firstEntry(of: frame)
            #expect(first.page == pages[count])
            count += unsafe frame.header.entryCount
        }
        #expect(count == pages.count)
        // The rest of memory comes in postcopy.
        source.memory.openStream()
        while case let frame = unsafe try stream.next(), unsafe frame.header.kind == .pages {
            #expect(unsafe frame.header.token == FrameHeader.streamToken)
            count += unsafe frame.header.entryCount
        }
        #expect(count == 1024)
    }

    @Test func `behind what is touched first the stream waits until the guest goes on`() throws {
        let source = try ServingSource()
        defer { source.end() }
        source.memory.openStream(beginningWith: [PageIndex(900)])
        var stream = FrameReader(source.bulk)
        #expect(unsafe try source.firstEntry(of: stream.next()).page == PageIndex(900))
        let lane = [source.bulk.rawDescriptor] as [CInt]
        #expect(try !waitUntilReadable(lane, timeout: .milliseconds(200))[0])
        source.memory.noteResumed()
        #expect(unsafe try source.firstEntry(of: stream.next()).page == PageIndex(0))
    }

    @Test func `an answer is not compressed`() throws {
        let source = try ServingSource()
        defer { source.end() }
        source.fill(PageIndex(5))
        source.memory.openForRequests()
        try source.request(page: PageIndex(5), number: 0)
        var answers = FrameReader(source.urgent)
        let entry = unsafe try source.firstEntry(of: answers.next())
        #expect(entry.page == PageIndex(5))
        #expect(entry.encoding == .raw)
    }

    @Test func `a stream that rests for its cap ends when the cap goes`() throws {
        let source = try ServingSource()
        defer { source.end() }
        // The first frame costs minutes.
        source.memory.capStream(bytesPerSecond: 1)
        source.memory.openForRequests()
        source.memory.openStream()
        var stream = FrameReader(source.bulk)
        #expect(unsafe try stream.next().header.kind == .pages)
        var answers = FrameReader(source.urgent)
        for number in 0..<1024 {
            try source.request(page: PageIndex(number), number: UInt64(number))
            #expect(unsafe try answers.next().header.kind == .pages)
        }
        source.memory.capStream(bytesPerSecond: 0)
        while case let frame = unsafe try stream.next(), unsafe frame.header.kind != .endOfStream {
            #expect(unsafe frame.header.token == FrameHeader.prefetchToken)
        }
    }
}

/// Memory of a source, and the threads that serve it on one lane of each kind.
private final class ServingSource {
    let memory: OutgoingMemory
    private let ram: GuestRAM
    let urgent: any Lane
    let bulk: any Lane
    private let ends: [any Lane]
    private let threads = ThreadGroup()

    init() throws {
        let ram = try GuestRAM(layout: .pc(byteCount: 4 << 20), backing: .anonymous)
        let memory = try OutgoingMemory(ram: ram)
        self.memory = memory
        self.ram = ram
        memory.serve(pagesPerRequest: 1, prefetchPages: 16, bytesPerSecond: 0)
        func pair(_ name: LaneName) throws -> (any Lane, any Lane) {
            try SocketPair().take { first, second in
                (SocketLane(name, over: first), SocketLane(name, over: second))
            }
        }
        let (urgentEnd, urgent) = try pair(.urgent(0))
        let (bulkEnd, bulk) = try pair(.bulk(0))
        (self.urgent, self.bulk) = (urgent, bulk)
        ends = [urgentEnd, bulkEnd]
        try threads.start("urgent") { serveUrgentLane(urgentEnd, index: 0, of: memory) }
        try threads.start("stream") { streamMemory(memory, on: bulkEnd, index: 0) }
    }

    /// Makes a page of one letter.
    func fill(_ page: PageIndex) {
        let bytes = unsafe ram.bytes(of: PageRange(first: page, count: 1))
        unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0x61)
    }

    func firstEntry(of frame: Frame) throws -> PageEntry {
        try unsafe PageFrame(header: frame.header, body: frame.body, guestPageCount: 1024).entry(0)
    }

    func request(page: PageIndex, number: UInt64) throws {
        let header = FrameHeader(
            kind: .requests,
            entryCount: 1,
            payloadByteCount: 0,
            sequence: number,
            token: number
        )
        var bytes = [UInt8](repeating: 0, count: FrameHeader.byteCount + RequestEntry.byteCount)
        try unsafe bytes.withUnsafeMutableBytes { buffer in
            unsafe header.write(to: .init(rebasing: buffer[..<FrameHeader.byteCount]))
            let body = unsafe UnsafeMutableRawBufferPointer(
                rebasing: buffer[FrameHeader.byteCount...]
            )
            unsafe RequestEntry(page: page, requestClass: .vCPU).write(0, to: body)
            unsafe try urgent.send(.init(buffer), .init(start: nil, count: 0))
        }
    }

    func end() {
        memory.failure.close()
        memory.stopStream()
        for lane in ends { lane.shutdown() }
        threads.joinAll()
    }
}
