// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import MigrationWire
import TestSupport
import Testing

extension PageDigest {
    fileprivate mutating func add(_ page: Int, _ contents: [UInt8]) {
        let encoding = contents.allSatisfy { $0 == 0 } ? PageEncoding.zero : .raw
        unsafe contents.withUnsafeBytes { bytes in
            unsafe add(PageIndex(page), contents: bytes, as: encoding)
        }
    }

    fileprivate init(_ pages: [(Int, [UInt8])]) {
        self.init()
        for (page, contents) in pages { add(page, contents) }
    }
}

@Suite struct PageDigestTests {
    private let pages: [(Int, [UInt8])] = {
        var random = SeededGenerator(seed: 21)
        return (0..<40).map { page in
            (page, PageContents.allCases[page % 4].bytes(using: &random))
        }
    }()

    @Test func `a page has the same digest on every host`() {
        let zero = [UInt8](repeating: 0, count: 4096)
        let counting = (0..<4096).map { UInt8($0 % 251) }
        // XXH3_128bits_withSeed of the xxHash library 0.8, seeded with the page number.
        #expect(PageDigest([(0, zero)]).description == "99aa06d3014798d86001c324468d497f")
        #expect(PageDigest([(1, zero)]).description == "d9265cc53bb2b9ae6131b78f753823cd")
        #expect(PageDigest([(0, counting)]).description == "e12cd72144990fe57135ffa504f1bc71")
        #expect(
            PageDigest([(0x123456, counting)]).description == "3605a1131459f2e0aa69335718d1bf1f"
        )
    }

    @Test func `the order of pages does not matter`() {
        let seed = TestSeed.next(for: "digest order")
        var random = SeededGenerator(seed: seed)
        let digest = PageDigest(pages)
        for _ in 0..<20 {
            #expect(PageDigest(pages.shuffled(using: &random)) == digest, "seed \(seed)")
        }
    }

    @Test func `two halves add up to the whole`() {
        var sum = PageDigest(Array(pages[..<13]))
        sum.add(PageDigest(Array(pages[13...])))
        #expect(sum == PageDigest(pages))
    }

    @Test func `any flipped bit changes it`() {
        let seed = TestSeed.next(for: "digest bits")
        var random = SeededGenerator(seed: seed)
        let digest = PageDigest(pages)
        for _ in 0..<200 {
            var changed = pages
            let page = Int.random(in: 0..<pages.count, using: &random)
            let bit = Int.random(in: 0..<4096 * 8, using: &random)
            changed[page].1[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(PageDigest(changed) != digest, "page \(page), bit \(bit), seed \(seed)")
        }
    }

    @Test func `contents of two pages swapped change it`() {
        var swapped = pages
        (swapped[1].1, swapped[2].1) = (swapped[2].1, swapped[1].1)
        #expect(PageDigest(swapped) != PageDigest(pages))
    }

    @Test func `a page lost, or counted twice, changes it even when it is zero`() {
        let digest = PageDigest(pages)
        #expect(PageDigest(Array(pages.dropFirst())) != digest)
        #expect(PageDigest(pages + [pages[0]]) != digest)
    }

    @Test func `it prints as 32 digits`() {
        #expect(PageDigest().description == String(repeating: "0", count: 32))
        #expect(
            PageDigest(low: 1, high: 0xABC).description == "0000000000000abc0000000000000001"
        )
        #expect(PageDigest(low: .max, high: .max).description.count == 32)
    }

    @Test func `it comes through a message`() {
        let digest = PageDigest(pages)
        #expect(PageDigest(WireDigest(digest)) == digest)
    }
}
