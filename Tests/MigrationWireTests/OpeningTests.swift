// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import MigrationWire
import TestSupport
import Testing

/// A malformed preamble or answer, and what must be said about it.
struct Refused: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let offset: Int
    let digits: String
    let reason: RefusalReason
}

@Suite struct OpeningTests {
    private static let otherMagic: UInt64 = 0x454e_414c_5355_5042

    @Test(arguments: [
        Refused(
            testDescription: "magic",
            offset: 0,
            digits: "42",
            reason: .magic(found: otherMagic)
        ),
        Refused(
            testDescription: "version 0",
            offset: 8,
            digits: "0000",
            reason: .version(found: 0)
        ),
        Refused(
            testDescription: "version 1",
            offset: 8,
            digits: "0100",
            reason: .version(found: 1)
        ),
        Refused(
            testDescription: "version 257",
            offset: 8,
            digits: "0101",
            reason: .version(found: 257)
        ),
        Refused(
            testDescription: "second control lane",
            offset: 10,
            digits: "0001",
            reason: .lane(kind: 0, index: 1)
        ),
        Refused(
            testDescription: "urgent lane 128",
            offset: 10,
            digits: "0180",
            reason: .lane(kind: 1, index: 128)
        ),
        Refused(
            testDescription: "bulk lane 255",
            offset: 10,
            digits: "02ff",
            reason: .lane(kind: 2, index: 255)
        ),
        Refused(
            testDescription: "kind 3",
            offset: 10,
            digits: "0300",
            reason: .lane(kind: 3, index: 0)
        ),
        Refused(
            testDescription: "rings on the control lane",
            offset: 12,
            digits: "010c14",
            reason: .reservedBits
        ),
        Refused(
            testDescription: "sizes without rings",
            offset: 13,
            digits: "0c14",
            reason: .reservedBits
        ),
        Refused(
            testDescription: "no such carrier",
            offset: 10,
            digits: "0100 020c14",
            reason: .reservedBits
        ),
        Refused(
            testDescription: "a small ring",
            offset: 10,
            digits: "0100 010b14",
            reason: .ringSizes(toSource: 11, toDestination: 20)
        ),
        Refused(
            testDescription: "a large ring",
            offset: 10,
            digits: "0200 010c15",
            reason: .ringSizes(toSource: 12, toDestination: 21)
        ),
        Refused(
            testDescription: "a huge ring",
            offset: 10,
            digits: "0200 01ffff",
            reason: .ringSizes(toSource: 255, toDestination: 255)
        ),
        Refused(
            testDescription: "reserved beside rings",
            offset: 10,
            digits: "0200 010c1401",
            reason: .reservedBits
        ),
        Refused(testDescription: "reserved, last", offset: 15, digits: "80", reason: .reservedBits),
    ])
    func `a malformed preamble is refused for what is wrong with it`(refused: Refused) {
        var preamble = written(32) {
            unsafe LanePreamble(lane: .control, key: .none).write(to: $0)
        }
        change(&preamble, refused)
        #expect(throws: refused.reason) {
            _ = try unsafe preamble.withUnsafeBytes { unsafe try LanePreamble(parsing: $0) }
        }
    }

    @Test(arguments: [
        Refused(
            testDescription: "magic",
            offset: 0,
            digits: "42",
            reason: .magic(found: otherMagic)
        ),
        Refused(testDescription: "verdict 4", offset: 10, digits: "04", reason: .reservedBits),
        Refused(testDescription: "ring 2", offset: 11, digits: "02", reason: .reservedBits),
        Refused(
            testDescription: "a ring with a refusal",
            offset: 10,
            digits: "0201",
            reason: .reservedBits
        ),
        Refused(testDescription: "reserved", offset: 12, digits: "01", reason: .reservedBits),
        Refused(testDescription: "reserved, last", offset: 15, digits: "80", reason: .reservedBits),
    ])
    func `a malformed answer is refused for what is wrong with it`(refused: Refused) {
        var answer = written(16) { unsafe LaneAnswer(verdict: .accepted).write(to: $0) }
        change(&answer, refused)
        #expect(throws: refused.reason) {
            _ = try unsafe answer.withUnsafeBytes { unsafe try LaneAnswer(parsing: $0) }
        }
    }

    @Test func `each refusal has its verdict`() {
        #expect(LaneAnswer(refusing: .version(found: 9)).verdict == .wrongVersion)
        #expect(LaneAnswer(refusing: .busy).verdict == .busy)
        #expect(LaneAnswer(refusing: .sessionKey).verdict == .refused)
        #expect(LaneAnswer(refusing: .magic(found: 0)).verdict == .refused)
        #expect(LaneAnswer(refusing: .version(found: 9)).version == WireLimits.version)
    }

    @Test(
        arguments: [
            (
                RefusalReason.magic(found: 0xDEAD_BEEF),
                ["0x454e414c53555041", "0xdeadbeef"]
            ),
            (.version(found: 77), ["here 6", "there 77"]),
            (.pageByteCount(source: 4096, destination: 16_384), ["4096", "16384"]),
            (
                .memoryLayout(source: "0x0+512MiB", destination: "0x0+256MiB"),
                ["source 0x0+512MiB", "destination 0x0+256MiB"]
            ),
            (.vCPUCount(source: 2, destination: 4), ["source 2", "destination 4"]),
            (.lane(kind: 7, index: 8), ["7", "8"]),
        ] as [(RefusalReason, [String])]
    )
    func `a refusal names both values`(reason: RefusalReason, values: [String]) {
        for value in values { #expect(reason.description.contains(value)) }
        #expect(!reason.description.contains("\n"))
    }

    @Test func `a wrong session key is not named`() {
        let text = MigrationError.refused(.sessionKey).description
        #expect(text.contains("session key"))
        #expect(text.allSatisfy { !$0.isNumber })
    }

    @Test func `a session key has 16 bytes and is never the same twice`() {
        #expect(SessionKey([UInt8](repeating: 1, count: 15)) == nil)
        #expect(SessionKey([UInt8](repeating: 1, count: 17)) == nil)
        #expect(SessionKey([]) == nil)
        let keys = Set((0..<100).map { _ in hexadecimal(SessionKey.random().array) })
        #expect(keys.count == 100)
        let key = SessionKey.random()
        #expect(SessionKey(key.array) == key)
    }

    @Test func `keys that differ in one bit are different`() {
        let key = SessionKey.random()
        for bit in 0..<128 {
            var bytes = key.array
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(SessionKey(bytes) != key, "bit \(bit)")
        }
    }

    @Test func `a welcome carries key and identity, and no key of another size`() {
        let key = SessionKey.random()
        var welcome = WireWelcome()
        #expect(welcome.key == nil)
        welcome.key = key
        welcome.identity = [1, 2, 3]
        #expect(welcome.key == key)
        #expect(welcome.identity == [1, 2, 3])
        welcome.sessionKey.removeLast()
        #expect(welcome.key == nil)
    }

    @Test func `a layout comes through a message`() throws {
        let layout = try GuestLayout.pc(byteCount: 5 << 30)
        #expect(try GuestLayout(layout.wire) == layout)
    }

    @Test func `a layout from a peer is checked before anything is computed from it`() {
        func region(_ address: UInt64, _ pages: UInt64) -> WireMemoryRegion {
            var region = WireMemoryRegion()
            region.guestAddress = address
            region.pageCount = pages
            return region
        }
        func expect(_ regions: [WireMemoryRegion], _ defect: GuestLayout.Defect) {
            #expect(throws: defect) { _ = try GuestLayout(regions) }
        }
        expect([], .regionCount(0))
        expect([WireMemoryRegion](repeating: region(0, 1), count: 17), .regionCount(17))
        let million = [WireMemoryRegion](repeating: region(0, 1), count: 1_000_000)
        expect(million, .regionCount(1_000_000))
        expect([region(0, .max)], .region(index: 0))
        expect([region(0, 1 << 63)], .region(index: 0))
        expect([region(0, (1 << 63) - 1)], .region(index: 0))
        expect([region(0, 0)], .region(index: 0))
        expect([region(.max, 1)], .region(index: 0))
        expect([region(.max - 4095, 1)], .region(index: 0))
        expect([region(0, 4), region(4096, 1)], .region(index: 1))
    }

    private func change(_ bytes: inout [UInt8], _ refused: Refused) {
        for (index, byte) in TestSupport.bytes(hexadecimal: refused.digits).enumerated() {
            bytes[refused.offset + index] = byte
        }
    }
}
