// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import LinuxSystem
import MigrationWire
import TestSupport

/// The bytes that a codec writes into memory that was not zero before.
@safe func written(_ count: Int, _ write: (UnsafeMutableRawBufferPointer) -> Void) -> [UInt8] {
    var bytes = [UInt8](repeating: 0xEE, count: count)
    unsafe bytes.withUnsafeMutableBytes { unsafe write($0) }
    return bytes
}

/// A page as it came out of a frame.
struct DecodedPage: Equatable {
    var page: Int
    var encoding: PageEncoding
    var contents: [UInt8]
}

/// A whole frame, parsed as a receiver does.
enum ParsedFrame: Equatable {
    /// Shorter than it says: a receiver would wait for more.
    case incomplete
    case requests([RequestEntry])
    case pages([DecodedPage])
    case endOfStream
    case endOfRound(UInt64)
}

/// Parses frames out of memory that cannot be read or written beyond its end.
struct FrameParser: ~Copyable {
    let header: GuardedBytes
    let body: GuardedBytes
    let page: GuardedBytes
    /// Pages the guest has.
    var pageCount = 1 << 20

    init() throws(SystemError) {
        // Complete before any of it is stored: an initializer that throws has stored nothing.
        let header = try GuardedBytes(byteCount: FrameHeader.byteCount)
        let body = try GuardedBytes(byteCount: WireLimits.frameByteCount)
        let page = try GuardedBytes(byteCount: GuestPage.byteCount)
        self.header = header
        self.body = body
        self.page = page
    }

    func parse(
        _ bytes: [UInt8],
        expecting sequence: UInt64 = 0
    ) throws(FrameDefect) -> ParsedFrame {
        guard bytes.count >= FrameHeader.byteCount else { return .incomplete }
        let head = unsafe header.tail(holding: bytes[..<FrameHeader.byteCount])
        let header = unsafe try FrameHeader(parsing: head, expecting: sequence)
        let end = FrameHeader.byteCount + header.bodyByteCount
        guard bytes.count >= end else { return .incomplete }
        let rest = unsafe body.tail(holding: bytes[FrameHeader.byteCount..<end])
        switch header.kind {
        case .endOfStream: return .endOfStream
        case .endOfRound: return .endOfRound(header.token)
        case .requests:
            var entries: [RequestEntry] = []
            for index in 0..<header.entryCount {
                unsafe try entries.append(RequestEntry(index, of: rest, pageCount: pageCount))
            }
            return .requests(entries)
        case .pages: return .pages(unsafe try decode(header, rest))
        }
    }

    private func decode(
        _ header: FrameHeader,
        _ body: UnsafeRawBufferPointer
    ) throws(FrameDefect) -> [DecodedPage] {
        let frame = unsafe try PageFrame(header: header, body: body, guestPageCount: pageCount)
        var pages: [DecodedPage] = []
        var offset = 0
        for index in 0..<header.entryCount {
            let entry = unsafe try frame.entry(index)
            let contents = unsafe frame.contents(of: entry, at: offset)
            offset += entry.payloadByteCount
            let place = unsafe page.tail(GuestPage.byteCount)
            unsafe place.initializeMemory(as: UInt8.self, repeating: 0xEE)
            unsafe try entry.decode(contents, into: place)
            pages.append(
                DecodedPage(
                    page: entry.page.rawValue,
                    encoding: entry.encoding,
                    contents: unsafe Array(place)
                )
            )
        }
        return pages
    }
}

/// The bytes of the frame that a batch has collected.
func frameBytes(
    _ batch: inout PageBatch,
    sequence: UInt64 = 0,
    token: UInt64 = 0,
    served: UInt64 = 0
) -> [UInt8] {
    var bytes: [UInt8] = []
    let count = unsafe batch.finish(
        sequence: sequence,
        token: token,
        servedNanoseconds: served
    ) { head, payload in
        unsafe bytes.append(contentsOf: head)
        unsafe bytes.append(contentsOf: payload)
    }
    precondition(count == bytes.count, "finish says another length than it sends")
    return bytes
}

extension PageBatch {
    /// Adds a page from an array.
    @discardableResult
    mutating func append(_ page: Int, _ contents: [UInt8]) -> PageEncoding {
        unsafe contents.withUnsafeBytes { unsafe append(PageIndex(page), contents: $0) }
    }
}
