// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import MigrationWire
internal import Transport

/// Round trips over a lane: a request for one page, and the page as it is.
enum LaneRoundTrip {
    static let pageCount = 1024

    /// Nanoseconds of one.
    static func nanoseconds(over medium: Medium, trips: Int) throws -> Double {
        let ends = try LaneEnds(.urgent(0), over: medium)
        defer { ends.shutdown() }
        return try RoundTrip.nanoseconds(
            LaneAsker(ends.destination),
            trips: trips,
            answer: { count in
                var answerer = LaneAnswerer(ends.source)
                for _ in 0..<count { try answerer.answer() }
            },
            end: { ends.shutdown() }
        )
    }
}

/// The destination's end.
private struct LaneAsker: Asker, ~Copyable {
    private let lane: any Lane
    private var reader: FrameReader
    private var sequence: UInt64 = 0

    init(_ lane: any Lane) {
        self.lane = lane
        reader = FrameReader(lane)
    }

    mutating func ask() throws {
        let header = FrameHeader(
            kind: .requests,
            entryCount: 1,
            payloadByteCount: 0,
            sequence: sequence,
            token: sequence
        )
        let page = PageIndex(Int(sequence) % LaneRoundTrip.pageCount)
        let entry = RequestEntry(page: page, requestClass: .vCPU)
        sequence += 1
        var bytes = InlineArray<48, UInt8>(repeating: 0)
        var span = bytes.mutableSpan
        let lane = lane
        unsafe try span.withUnsafeMutableBytes { buffer throws(LaneError) in
            unsafe header.write(to: .init(rebasing: buffer[..<FrameHeader.byteCount]))
            unsafe entry.write(0, to: .init(rebasing: buffer[FrameHeader.byteCount...]))
            unsafe try lane.send(UnsafeRawBufferPointer(buffer), .init(start: nil, count: 0))
        }
        let frame = unsafe try reader.next()
        let answer = unsafe try PageFrame(
            header: frame.header,
            body: frame.body,
            guestPageCount: LaneRoundTrip.pageCount
        )
        guard unsafe try answer.entry(0).page == page else {
            throw BenchFailure.failed("another page was answered")
        }
    }
}

/// The source's end.
@safe private struct LaneAnswerer: ~Copyable {
    private let lane: any Lane
    private var reader: FrameReader
    private var sequence: UInt64 = 0
    private let contents: UnsafeMutableRawBufferPointer

    init(_ lane: any Lane) {
        self.lane = lane
        reader = FrameReader(lane)
        unsafe contents = .allocate(byteCount: GuestPage.byteCount, alignment: 4096)
        unsafe PagePattern.noise.fill(contents, of: PageIndex(0))
    }

    deinit {
        unsafe contents.deallocate()
    }

    mutating func answer() throws {
        let frame = unsafe try reader.next()
        let request = unsafe try RequestEntry(
            0,
            of: frame.body,
            pageCount: LaneRoundTrip.pageCount
        )
        let header = FrameHeader(
            kind: .pages,
            entryCount: 1,
            payloadByteCount: GuestPage.byteCount,
            sequence: sequence,
            token: unsafe frame.header.token
        )
        let entry = PageEntry(
            page: request.page,
            encoding: .raw,
            payloadByteCount: GuestPage.byteCount
        )
        sequence += 1
        var bytes = InlineArray<48, UInt8>(repeating: 0)
        var span = bytes.mutableSpan
        let lane = lane
        let body = unsafe UnsafeRawBufferPointer(contents)
        unsafe try span.withUnsafeMutableBytes { buffer throws(LaneError) in
            unsafe header.write(to: .init(rebasing: buffer[..<FrameHeader.byteCount]))
            unsafe entry.write(0, to: .init(rebasing: buffer[FrameHeader.byteCount...]))
            unsafe try lane.send(UnsafeRawBufferPointer(buffer), body)
        }
    }
}
