// SPDX-License-Identifier: Apache-2.0

import Foundation
import GuestMemory
import MigrationWire
import TestSupport
import Testing

@Suite struct DiscardListTests {
    private func message(_ first: UInt64, _ pages: [UInt8]) -> WireDiscard {
        var message = WireDiscard()
        message.firstPage = first
        message.pages = Data(pages)
        return message
    }

    @Test func `pages come back as runs`() throws {
        var list = DiscardList()
        list.append(0b1011, ofWord: 0)
        list.append(0, ofWord: 1)
        list.append(1 << 63, ofWord: 2)
        list.append(.max, ofWord: 3)
        #expect(list.pageCount == 3 + 1 + 64)
        #expect(list.messages.count == 1)
        let runs = try #require(list.messages.first).runs(pageCount: 256)
        #expect(
            runs == [
                PageRange(first: PageIndex(0), count: 2),
                PageRange(first: PageIndex(3), count: 1),
                PageRange(first: PageIndex(191), count: 65),
            ]
        )
    }

    @Test func `a list of much memory is cut into messages that are allowed`() throws {
        var list = DiscardList()
        var random = SeededGenerator(seed: 8)
        var expected: [Int] = []
        for word in 0..<20_000 where word % 7 != 0 && !(5000..<9000).contains(word) {
            let bits = UInt64.random(in: 1 ... .max, using: &random)
            list.append(bits, ofWord: word)
            expected += (0..<64).filter { bits & 1 << UInt64($0) != 0 }.map { word * 64 + $0 }
        }
        #expect(list.messages.count > 2)
        #expect(list.pageCount == expected.count)
        #expect(list.pages.map(\.rawValue) == expected)
        var found: [Int] = []
        for message in list.messages {
            #expect(message.pages.count <= WireLimits.discardByteCount)
            for run in try message.runs(pageCount: 20_000 * 64) {
                found += run.first.rawValue..<run.first.rawValue + run.count
            }
        }
        #expect(found == expected)
    }

    @Test func `a list that makes no sense is refused`() {
        let impossible: [(WireDiscard, FrameDefect)] = [
            (message(0, []), .field("discard")),
            (message(0, [0, 0]), .field("discard")),
            (message(1, [1]), .field("discard")),
            (message(128, [1]), .field("discard")),
            (message(.max, [1]), .field("discard")),
            (message(1 << 63, [1]), .field("discard")),
            (
                message(0, [UInt8](repeating: 0, count: WireLimits.discardByteCount + 1)),
                .field("discard")
            ),
            (message(64, [0, 0, 0, 0, 0b10_0000]), .page(101)),
            (message(64, [UInt8](repeating: 0xFF, count: 8)), .page(127)),
        ]
        for (message, defect) in impossible {
            #expect(throws: defect) { try message.runs(pageCount: 100) }
        }
        #expect(throws: Never.self) { try message(64, [0, 0, 0, 0, 0b1000]).runs(pageCount: 100) }
    }
}
