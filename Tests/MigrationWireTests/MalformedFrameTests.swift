// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import MigrationWire
import TestSupport
import Testing

/// One way to spoil a good frame, and what must be said about it.
struct Spoiled: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let bytes: [UInt8]
    let defect: FrameDefect
}

/// A good frame with number 5 of a guest of 1000 pages: page 999 raw, page 3 LZ4, page 4 zero.
private let good: [UInt8] = {
    var random = SeededGenerator(seed: 11)
    var batch = PageBatch()
    batch.begin()
    batch.append(999, PageContents.incompressible.bytes(using: &random))
    batch.append(3, [UInt8](repeating: 0x41, count: 4096))
    batch.append(4, [UInt8](repeating: 0, count: 4096))
    return frameBytes(&batch, sequence: 5)
}()

private let goodRequests: [UInt8] = {
    let header = FrameHeader(kind: .requests, entryCount: 1, payloadByteCount: 0, sequence: 5)
    let entry = RequestEntry(page: PageIndex(999), requestClass: .prefetch)
    return written(32) { unsafe header.write(to: $0) }
        + written(16) { unsafe entry.write(0, to: $0) }
}()

private func spoil(
    _ what: String,
    _ frame: [UInt8],
    at offset: Int,
    with hexadecimalDigits: String,
    _ defect: FrameDefect
) -> Spoiled {
    var bytes = frame
    for (index, byte) in TestSupport.bytes(hexadecimal: hexadecimalDigits).enumerated() {
        bytes[offset + index] = byte
    }
    return Spoiled(testDescription: what, bytes: bytes, defect: defect)
}

private let payload = good.count - 32 - 3 * 16
private let lz4Count = UInt32(payload - 4096)

private let spoiledHeaders: [Spoiled] = [
    spoil("kind 0", good, at: 0, with: "00", .kind(0)),
    spoil("kind 5", good, at: 0, with: "05", .kind(5)),
    spoil("kind 255", good, at: 0, with: "ff", .kind(255)),
    spoil("reserved bit 0", good, at: 1, with: "01", .reservedBits),
    spoil("reserved bit 7", good, at: 1, with: "80", .reservedBits),
    spoil("no pages", good, at: 2, with: "0000", .entryCount(0)),
    spoil("65 pages", good, at: 2, with: "4100", .entryCount(65)),
    spoil("65535 pages", good, at: 2, with: "ffff", .entryCount(65_535)),
    spoil("no requests", goodRequests, at: 2, with: "0000", .entryCount(0)),
    spoil("65 requests", goodRequests, at: 2, with: "4100", .entryCount(65)),
    spoil("end with an entry", good, at: 0, with: "03000100", .entryCount(1)),
    spoil("end of a round with an entry", good, at: 0, with: "04000100", .entryCount(1)),
    spoil(
        "payload one byte too large",
        good,
        at: 4,
        with: "01000400",
        .payload(found: 262_145, expected: 262_144)
    ),
    spoil(
        "payload of 2^32 - 1",
        good,
        at: 4,
        with: "ffffffff",
        .payload(found: 4_294_967_295, expected: 262_144)
    ),
    spoil(
        "requests with payload",
        goodRequests,
        at: 4,
        with: "01000000",
        .payload(found: 1, expected: 0)
    ),
    spoil(
        "end with payload",
        good,
        at: 0,
        with: "03000000 01000000",
        .payload(found: 1, expected: 0)
    ),
    spoil("a frame lost", good, at: 8, with: "06", .sequence(found: 6, expected: 5)),
    spoil("a frame repeated", good, at: 8, with: "04", .sequence(found: 4, expected: 5)),
    spoil(
        "number 2^64 - 1",
        good,
        at: 8,
        with: "ffffffffffffffff",
        .sequence(found: .max, expected: 5)
    ),
    spoil(
        "number right in its lower half only",
        good,
        at: 12,
        with: "01",
        .sequence(found: 0x1_0000_0005, expected: 5)
    ),
]

private let spoiledPages: [Spoiled] = [
    spoil("page behind the last", good, at: 32, with: "e803", .page(1000)),
    spoil("page 2^32", good, at: 32, with: "0000000001000000", .page(1 << 32)),
    spoil("page 2^63 - 1", good, at: 32, with: "ffffffffffffff7f", .page((1 << 63) - 1)),
    spoil("page 2^63", good, at: 32, with: "0000000000000080", .page(1 << 63)),
    spoil("page 2^64 - 1", good, at: 32, with: "ffffffffffffffff", .page(.max)),
    spoil("last page does not exist", good, at: 64, with: "e803", .page(1000)),
    spoil("encoding 3", good, at: 44, with: "03", .encoding(page: 999, found: 3)),
    spoil("encoding 255", good, at: 44, with: "ff", .encoding(page: 999, found: 255)),
    spoil("reserved byte 1 of a page", good, at: 45, with: "01", .reservedBits),
    spoil("reserved byte 2 of a page", good, at: 46, with: "80", .reservedBits),
    spoil("reserved byte 3 of a page", good, at: 47, with: "ff", .reservedBits),
    spoil("raw of 0", good, at: 40, with: "0000", .pageByteCount(page: 999, found: 0)),
    spoil("raw of 4095", good, at: 40, with: "ff0f", .pageByteCount(page: 999, found: 4095)),
    spoil("raw of 4097", good, at: 40, with: "0110", .pageByteCount(page: 999, found: 4097)),
    spoil(
        "raw of 2^32 - 1",
        good,
        at: 40,
        with: "ffffffff",
        .pageByteCount(page: 999, found: .max)
    ),
    spoil("LZ4 of 0", good, at: 56, with: "0000", .pageByteCount(page: 3, found: 0)),
    spoil("LZ4 of 4096", good, at: 56, with: "0010", .pageByteCount(page: 3, found: 4096)),
    spoil(
        "LZ4 of 2^32 - 1",
        good,
        at: 56,
        with: "ffffffff",
        .pageByteCount(page: 3, found: .max)
    ),
    spoil("zero of 1", good, at: 72, with: "01", .pageByteCount(page: 4, found: 1)),
    spoil(
        "zero of 2^32 - 1",
        good,
        at: 72,
        with: "ffffffff",
        .pageByteCount(page: 4, found: .max)
    ),
    spoil(
        "entries claim a byte more than the payload",
        good,
        at: 56,
        with: hexadecimal([UInt8(lz4Count + 1)]),
        .payload(found: UInt64(payload), expected: UInt64(payload + 1))
    ),
    spoil(
        "entries claim a byte less than the payload",
        good,
        at: 56,
        with: hexadecimal([UInt8(lz4Count - 1)]),
        .payload(found: UInt64(payload), expected: UInt64(payload - 1))
    ),
]

private let spoiledRequests: [Spoiled] = [
    spoil("request behind the last", goodRequests, at: 32, with: "e803", .page(1000)),
    spoil("request of 2^63", goodRequests, at: 32, with: "0000000000000080", .page(1 << 63)),
    spoil("request of 2^64 - 1", goodRequests, at: 32, with: "ffffffffffffffff", .page(.max)),
    spoil("class 4", goodRequests, at: 40, with: "04", .requestClass(4)),
    spoil("class 255", goodRequests, at: 40, with: "ff", .requestClass(255)),
    spoil("reserved byte 1 of a request", goodRequests, at: 41, with: "01", .reservedBits),
    spoil("reserved byte 7 of a request", goodRequests, at: 47, with: "80", .reservedBits),
]

/// A frame with one LZ4 page.
private func lz4(_ what: String, _ digits: String) -> Spoiled {
    let data = bytes(hexadecimal: digits)
    let header = FrameHeader(
        kind: .pages,
        entryCount: 1,
        payloadByteCount: data.count,
        sequence: 5
    )
    let entry = PageEntry(page: PageIndex(6), encoding: .lz4, payloadByteCount: data.count)
    let frame =
        written(32) { unsafe header.write(to: $0) } + written(16) { unsafe entry.write(0, to: $0) }
    return Spoiled(testDescription: what, bytes: frame + data, defect: .compressedPage(page: 6))
}

private let fifteen = String(repeating: "ff", count: 15)
private let spoiledCompression: [Spoiled] = [
    lz4("yields 4095 bytes", "1f 41 0100 \(fifteen) f5 50 4141414141"),
    lz4("would yield 4097 bytes", "1f 41 0100 \(fifteen) f7 50 4141414141"),
    lz4("would yield 2^20 bytes", "1f 41 0100" + String(repeating: "ff", count: 4000) + "00"),
    lz4("one byte of nothing", "00"),
    lz4("literals beyond the input", "f0 ff 41"),
    lz4("length that never ends", "f0" + String(repeating: "ff", count: 4094)),
    lz4("match before the beginning", "1f 41 ffff \(fifteen) f6 50 4141414141"),
    lz4("cut in the middle of a match", "1f 41 01"),
    lz4("a byte behind the end", "1f 41 0100 \(fifteen) f6 50 4141414141 00"),
    lz4("all ones", String(repeating: "ff", count: 4095)),
]

@Suite struct MalformedFrameTests {
    @Test func `the frames that are spoiled here are good`() throws {
        let parser = try makeParser()
        #expect(try parser.parse(goodRequests, expecting: 5) != .incomplete)
        guard case .pages(let pages) = try parser.parse(good, expecting: 5) else {
            Issue.record("no pages")
            return
        }
        #expect(pages.map(\.encoding) == [.raw, .lz4, .zero])
    }

    @Test(arguments: spoiledHeaders)
    func `a malformed header is refused for what is wrong with it`(spoiled: Spoiled) throws {
        try expectDefect(spoiled)
    }

    @Test(arguments: spoiledPages)
    func `a malformed page entry is refused for what is wrong with it`(spoiled: Spoiled) throws {
        try expectDefect(spoiled)
    }

    @Test(arguments: spoiledRequests)
    func `a malformed request is refused for what is wrong with it`(spoiled: Spoiled) throws {
        try expectDefect(spoiled)
    }

    @Test(arguments: spoiledCompression)
    func `LZ4 data that is not one page is refused`(spoiled: Spoiled) throws {
        try expectDefect(spoiled)
    }

    @Test func `every text of a defect is one line with its numbers`() {
        for spoiled in spoiledHeaders + spoiledPages + spoiledRequests + spoiledCompression {
            let text = spoiled.defect.description
            #expect(!text.contains("\n"))
            switch spoiled.defect {
            case .sequence(let found, let expected), .payload(let found, let expected):
                #expect(text.contains("\(found)") && text.contains("\(expected)"))
            case .page(let page), .compressedPage(let page):
                #expect(text.contains("\(page)"))
            case .pageByteCount(let page, let found):
                #expect(text.contains("\(page)") && text.contains("\(found)"))
            default: break
            }
        }
    }

    private func makeParser() throws -> FrameParser {
        var parser = try FrameParser()
        parser.pageCount = 1000
        return parser
    }

    private func expectDefect(_ spoiled: Spoiled) throws {
        let parser = try makeParser()
        #expect(throws: spoiled.defect) {
            try parser.parse(spoiled.bytes, expecting: 5)
        }
    }
}
