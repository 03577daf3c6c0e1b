// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import MigrationWire
import TestSupport
import Testing

// The bytes are written down here and not computed: another version of this program, on the
// other host, reads exactly these.

@Suite struct GoldenBytesTests {
    private let key = SessionKey(bytes: InlineArray { UInt8(0xA0 + $0) })

    @Test func `a preamble is these 32 bytes`() throws {
        let golden = bytes(
            hexadecimal: """
                41505553 4c414e45  0600 01 03  00000000
                a0a1a2a3 a4a5a6a7 a8a9aaab acadaeaf
                """
        )
        let preamble = LanePreamble(lane: .urgent(3), key: key)
        #expect(written(32) { unsafe preamble.write(to: $0) } == golden)
        let read = try unsafe golden.withUnsafeBytes { unsafe try LanePreamble(parsing: $0) }
        #expect(read == preamble)
        #expect(read.lane == .urgent(3))
        #expect(read.key == key)
    }

    @Test(arguments: [
        (LaneName.control, "0000"), (.urgent(0), "0100"), (.urgent(127), "017f"),
        (.bulk(0), "0200"), (.bulk(127), "027f"),
    ])
    func `a lane is named by kind and index`(lane: LaneName, name: String) throws {
        let golden = bytes(
            hexadecimal: "41505553 4c414e45 0600 \(name) 00000000"
                + String(repeating: "00", count: 16)
        )
        let preamble = LanePreamble(lane: lane, key: .none)
        #expect(written(32) { unsafe preamble.write(to: $0) } == golden)
        let read = try unsafe golden.withUnsafeBytes { unsafe try LanePreamble(parsing: $0) }
        #expect(read == preamble)
    }

    @Test(arguments: [
        (LaneAnswer.Verdict.accepted, "00"), (.wrongVersion, "01"), (.refused, "02"),
        (.busy, "03"),
    ])
    func `an answer is these 16 bytes`(verdict: LaneAnswer.Verdict, code: String) throws {
        let golden = bytes(hexadecimal: "41505553 4c414e45  0201 \(code) 00 00000000")
        let answer = LaneAnswer(verdict: verdict, version: 0x0102)
        #expect(written(16) { unsafe answer.write(to: $0) } == golden)
        let read = try unsafe golden.withUnsafeBytes { unsafe try LaneAnswer(parsing: $0) }
        #expect(read == answer)
    }

    @Test func `a preamble that offers rings is these 32 bytes`() throws {
        let golden = bytes(
            hexadecimal: """
                41505553 4c414e45  0600 02 03  01 0c 14 00
                a0a1a2a3 a4a5a6a7 a8a9aaab acadaeaf
                """
        )
        let shape = try #require(RingShape(toSourceBits: 12, toDestinationBits: 20))
        let preamble = LanePreamble(lane: .bulk(3), key: key, ring: shape)
        #expect(written(32) { unsafe preamble.write(to: $0) } == golden)
        let read = try unsafe golden.withUnsafeBytes { unsafe try LanePreamble(parsing: $0) }
        #expect(read == preamble)
        #expect(read.ring == shape)
    }

    @Test func `an answer that takes the rings is these 16 bytes`() throws {
        let golden = bytes(hexadecimal: "41505553 4c414e45  0600 00 01 00000000")
        let answer = LaneAnswer(verdict: .accepted, takesRing: true)
        #expect(written(16) { unsafe answer.write(to: $0) } == golden)
        let read = try unsafe golden.withUnsafeBytes { unsafe try LaneAnswer(parsing: $0) }
        #expect(read == answer)
    }

    @Test func `the memory of rings has these sizes`() throws {
        let shape = try #require(RingShape(toSourceBits: 12, toDestinationBits: 20))
        #expect(shape.toSourceByteCount == 4096)
        #expect(shape.toDestinationByteCount == 1_048_576)
        #expect(shape.byteCount == 4096 + 4096 + 1_048_576)
        #expect(RingShape.offered(for: .control) == nil)
        for lane in [LaneName.urgent(0), .bulk(9)] {
            let offered = try #require(RingShape.offered(for: lane))
            #expect(offered.toDestinationByteCount >= WireLimits.frameByteCount)
        }
    }

    @Test func `a frame header is these 32 bytes`() throws {
        let golden = bytes(
            hexadecimal: """
                02 00 0300 11220000  0102030405060708
                1112131415161718  2122232425262728
                """
        )
        let header = FrameHeader(
            kind: .pages,
            entryCount: 3,
            payloadByteCount: 0x2211,
            sequence: 0x0807_0605_0403_0201,
            token: 0x1817_1615_1413_1211,
            servedNanoseconds: 0x2827_2625_2423_2221
        )
        #expect(written(32) { unsafe header.write(to: $0) } == golden)
        let read = try unsafe golden.withUnsafeBytes {
            unsafe try FrameHeader(parsing: $0, expecting: 0x0807_0605_0403_0201)
        }
        #expect(read == header)
        #expect(read.bodyByteCount == 3 * 16 + 0x2211)
    }

    @Test(arguments: [
        (RequestClass.vCPU, "00"), (.kernelOrDevice, "01"), (.prefetch, "02"),
        (.background, "03"),
    ])
    func `a request is these 16 bytes`(requestClass: RequestClass, code: String) throws {
        let golden = bytes(hexadecimal: "8967452301000000 \(code) 00000000000000")
        let entry = RequestEntry(page: PageIndex(0x1_2345_6789), requestClass: requestClass)
        #expect(written(16) { unsafe entry.write(0, to: $0) } == golden)
        let read = try unsafe golden.withUnsafeBytes {
            unsafe try RequestEntry(0, of: $0, pageCount: 0x1_2345_678A)
        }
        #expect(read == entry)
    }

    @Test(arguments: [
        (PageEncoding.zero, 0, "00000000 00"), (.raw, 4096, "00100000 01"),
        (.lz4, 0x0ABC, "bc0a0000 02"),
    ])
    func `a page entry is these 16 bytes`(
        encoding: PageEncoding,
        count: Int,
        code: String
    ) throws {
        let golden = bytes(hexadecimal: "8967452301000000 \(code) 000000")
        let entry = PageEntry(
            page: PageIndex(0x1_2345_6789),
            encoding: encoding,
            payloadByteCount: count
        )
        // The second of two, so that the position counts.
        let both = written(32) { unsafe entry.write(1, to: $0) }
        #expect(Array(both[16...]) == golden)
        #expect(Array(both[..<16]) == [UInt8](repeating: 0xEE, count: 16))
        let read = try unsafe (golden + golden).withUnsafeBytes {
            unsafe try PageEntry(1, of: $0, pageCount: 0x1_2345_678A)
        }
        #expect(read == entry)
    }

    @Test func `a frame of a zero and a raw page is these bytes`() throws {
        var random = SeededGenerator(seed: 1)
        let noise = PageContents.incompressible.bytes(using: &random)
        var batch = PageBatch()
        batch.begin()
        #expect(batch.append(7, [UInt8](repeating: 0, count: 4096)) == .zero)
        #expect(batch.append(8, noise) == .raw)
        let golden = bytes(
            hexadecimal: """
                02 00 0200 00100000  0500000000000000
                0900000000000000  0a00000000000000
                0700000000000000 00000000 00 000000
                0800000000000000 00100000 01 000000
                """
        )
        #expect(frameBytes(&batch, sequence: 5, token: 9, served: 10) == golden + noise)
    }

    @Test func `a frame with an LZ4 page from another program is read`() throws {
        // 4091 times 'A' by one literal and a match that overlaps itself, then five literals.
        let frame = bytes(
            hexadecimal: """
                02 00 0100 1a000000  0000000000000000
                0000000000000000  0000000000000000
                0500000000000000 1a000000 02 000000
                1f 41 0100 ffffffffffffffffffffffffffffff f6 50 4141414141
                """
        )
        let parser = try FrameParser()
        let letters = [UInt8](repeating: 0x41, count: 4096)
        #expect(
            try parser.parse(frame)
                == .pages([DecodedPage(page: 5, encoding: .lz4, contents: letters)])
        )
    }

    @Test func `an end of stream is these 32 bytes`() throws {
        let golden = bytes(
            hexadecimal: """
                03 00 0000 00000000  0300000000000000
                0000000000000000  0000000000000000
                """
        )
        let header = FrameHeader(
            kind: .endOfStream,
            entryCount: 0,
            payloadByteCount: 0,
            sequence: 3
        )
        #expect(written(32) { unsafe header.write(to: $0) } == golden)
        #expect(try FrameParser().parse(golden, expecting: 3) == .endOfStream)
    }

    @Test func `the end of a precopy round has its number for a token`() throws {
        let golden = bytes(
            hexadecimal: """
                04 00 0000 00000000  0700000000000000
                0200000000000000  0000000000000000
                """
        )
        let header = FrameHeader(
            kind: .endOfRound,
            entryCount: 0,
            payloadByteCount: 0,
            sequence: 7,
            token: 2
        )
        #expect(written(32) { unsafe header.write(to: $0) } == golden)
        #expect(try FrameParser().parse(golden, expecting: 7) == .endOfRound(2))
    }

    @Test func `limits are these numbers`() {
        #expect(WireLimits.version == 6)
        #expect(WireLimits.entriesPerFrame == 64)
        #expect(WireLimits.payloadByteCount == 262_144)
        #expect(WireLimits.frameByteCount == 263_200)
        #expect(WireLimits.controlMessageByteCount == 4_194_304)
    }
}
