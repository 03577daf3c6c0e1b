// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import MigrationWire
import TestSupport
import Testing

@Suite struct RoundTripTests {
    @Test func `pages of every kind come out as they went in, 1 to 64 in a frame`() throws {
        let seed = TestSeed.next(for: "frames of pages")
        var random = SeededGenerator(seed: seed)
        let parser = try FrameParser()
        var batch = PageBatch()
        for count in 1...WireLimits.entriesPerFrame {
            var sent: [DecodedPage] = []
            batch.begin()
            for _ in 0..<count {
                let kind = PageContents.allCases.randomElement(using: &random) ?? .zero
                let contents = kind.bytes(using: &random)
                let page = Int.random(in: 0..<parser.pageCount, using: &random)
                let encoding = batch.append(page, contents)
                sent.append(DecodedPage(page: page, encoding: encoding, contents: contents))
            }
            #expect(batch.pageCount == count)
            let sequence = random.next()
            let bytes = frameBytes(&batch, sequence: sequence)
            let received = try parser.parse(bytes, expecting: sequence)
            #expect(received == .pages(sent), "\(count) pages, seed \(seed)")
        }
    }

    @Test(arguments: [
        (PageContents.zero, PageEncoding.zero), (.compressible, .lz4), (.incompressible, .raw),
        (.almostZero, .lz4),
    ])
    func `64 pages of one kind fit and take the encoding that suits them`(
        kind: PageContents,
        encoding: PageEncoding
    ) throws {
        var random = SeededGenerator(seed: 7)
        let parser = try FrameParser()
        var batch = PageBatch()
        batch.begin()
        var sent: [DecodedPage] = []
        for page in 0..<64 {
            let contents = kind.bytes(using: &random)
            #expect(batch.append(page, contents) == encoding)
            sent.append(DecodedPage(page: page, encoding: encoding, contents: contents))
        }
        #expect(try parser.parse(frameBytes(&batch)) == .pages(sent))
    }

    @Test func `a page that LZ4 cannot shrink by one byte travels raw`() throws {
        // From pure noise on, more and more of a page repeats: the encodings must change over
        // from raw to LZ4 exactly once, and both sides of the border must come through.
        var random = SeededGenerator(seed: 3)
        let noise = PageContents.incompressible.bytes(using: &random)
        let parser = try FrameParser()
        var batch = PageBatch()
        var encodings: [PageEncoding] = []
        for repeated in 0..<128 {
            var contents = noise
            for index in 0..<repeated { contents[2000 + index] = noise[100 + index] }
            batch.begin()
            let encoding = batch.append(0, contents)
            encodings.append(encoding)
            let expected = DecodedPage(page: 0, encoding: encoding, contents: contents)
            #expect(try parser.parse(frameBytes(&batch)) == .pages([expected]))
        }
        #expect(encodings.first == .raw)
        #expect(encodings.last == .lz4)
        let changes = zip(encodings, encodings.dropFirst()).filter { $0 != $1 }.count
        #expect(changes == 1)
    }

    @Test func `every bit of a page tells it from a zero page`() throws {
        for bit in stride(from: 0, to: 4096 * 8, by: 61) {
            var contents = [UInt8](repeating: 0, count: 4096)
            contents[bit / 8] = 1 << UInt8(bit % 8)
            #expect(unsafe contents.withUnsafeBytes { unsafe !isZero($0) }, "bit \(bit)")
        }
        let zero = [UInt8](repeating: 0, count: 4096)
        #expect(unsafe zero.withUnsafeBytes { unsafe isZero($0) })
    }

    @Test func `a batch that begins anew forgets the pages before`() throws {
        var random = SeededGenerator(seed: 5)
        var batch = PageBatch()
        batch.begin()
        for page in 0..<64 { batch.append(page, PageContents.incompressible.bytes(using: &random)) }
        batch.begin()
        #expect(batch.pageCount == 0)
        batch.append(9, [UInt8](repeating: 0, count: 4096))
        #expect(frameBytes(&batch).count == 48)
    }

    @Test func `headers with random fields come out as they went in`() throws {
        let seed = TestSeed.next(for: "headers")
        var random = SeededGenerator(seed: seed)
        for _ in 0..<2000 {
            let header = FrameHeader(
                kind: .pages,
                entryCount: Int.random(in: 1...64, using: &random),
                payloadByteCount: Int.random(in: 0...WireLimits.payloadByteCount, using: &random),
                sequence: random.next(),
                token: random.next(),
                servedNanoseconds: random.next()
            )
            let bytes = written(32) { unsafe header.write(to: $0) }
            let read = try unsafe bytes.withUnsafeBytes {
                unsafe try FrameHeader(parsing: $0, expecting: header.sequence)
            }
            #expect(read == header, "seed \(seed)")
        }
    }

    @Test func `requests with random fields come out as they went in`() throws {
        let seed = TestSeed.next(for: "requests")
        var random = SeededGenerator(seed: seed)
        let parser = try FrameParser()
        for count in 1...64 {
            let entries = (0..<count).map { _ in
                RequestEntry(
                    page: PageIndex(Int.random(in: 0..<parser.pageCount, using: &random)),
                    requestClass: RequestClass.allCases.randomElement(using: &random) ?? .vCPU
                )
            }
            let header = FrameHeader(
                kind: .requests,
                entryCount: count,
                payloadByteCount: 0,
                sequence: 0
            )
            let bytes =
                written(32) { unsafe header.write(to: $0) }
                + written(16 * count) { body in
                    for (index, entry) in entries.enumerated() {
                        unsafe entry.write(index, to: body)
                    }
                }
            #expect(try parser.parse(bytes) == .requests(entries), "seed \(seed)")
        }
    }
}
