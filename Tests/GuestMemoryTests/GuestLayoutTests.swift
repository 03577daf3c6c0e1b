// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import TestSupport
import Testing

private let gibibyte = 1 << 30
private typealias Region = GuestLayout.Region

@Suite struct GuestLayoutTests {
    @Test(arguments: [
        (4096, "0x0+4KiB"),
        (512 << 20, "0x0+512MiB"),
        (3 << 30, "0x0+3072MiB"),
        ((3 << 30) + 4096, "0x0+3072MiB, 0x100000000+4KiB"),
        (4 << 30, "0x0+3072MiB, 0x100000000+1024MiB"),
        (1 << 40, "0x0+3072MiB, 0x100000000+1045504MiB"),
    ])
    func `a PC has a hole from 3 to 4 GiB`(byteCount: Int, text: String) throws {
        let layout = try GuestLayout.pc(byteCount: byteCount)
        #expect(layout.description == text)
        #expect(layout.byteCount == byteCount)
        #expect(layout.pageCount == byteCount / 4096)
    }

    @Test(arguments: [0, -4096, -1, .min, .max, (4 << 40) + 4096])
    func `a PC of no memory, or of too much, cannot be`(byteCount: Int) {
        #expect(throws: GuestLayout.Defect.self) { try GuestLayout.pc(byteCount: byteCount) }
    }

    @Test func `pages and addresses agree on both sides of the hole`() throws {
        let layout = try GuestLayout.pc(byteCount: 4 * gibibyte)
        let below = 3 * gibibyte / 4096
        #expect(layout.page(at: 0) == PageIndex(0))
        #expect(layout.page(at: 4095) == PageIndex(0))
        #expect(layout.page(at: 4096) == PageIndex(1))
        #expect(layout.page(at: (3 << 30) - 1) == PageIndex(below - 1))
        #expect(layout.page(at: 3 << 30) == nil)
        #expect(layout.page(at: (4 << 30) - 1) == nil)
        #expect(layout.page(at: 4 << 30) == PageIndex(below))
        #expect(layout.page(at: (5 << 30) - 1) == PageIndex(layout.pageCount - 1))
        #expect(layout.page(at: 5 << 30) == nil)
        #expect(layout.page(at: .max) == nil)
        #expect(layout.guestAddress(of: PageIndex(below - 1)) == UInt64((3 << 30) - 4096))
        #expect(layout.guestAddress(of: PageIndex(below)) == 4 << 30)
        #expect(layout.guestAddress(of: PageIndex(layout.pageCount)) == nil)
        #expect(layout.guestAddress(of: PageIndex(-1)) == nil)
        #expect(layout.guestAddress(of: PageIndex(.max)) == nil)
        #expect(layout.guestAddress(of: PageIndex(.min)) == nil)
    }

    @Test func `every page of random regions leads to its address and back`() throws {
        let seed = TestSeed.next(for: "layouts")
        var random = SeededGenerator(seed: seed)
        for _ in 0..<50 {
            var regions: [Region] = []
            var end: UInt64 = 0
            for _ in 0..<Int.random(in: 1...16, using: &random) {
                let gap = UInt64.random(in: 0...5, using: &random) << 12
                let region = Region(
                    guestAddress: end + gap,
                    pageCount: Int.random(in: 1...20, using: &random)
                )
                regions.append(region)
                end = region.endAddress
            }
            let layout = try GuestLayout(regions: regions)
            var addresses: Set<UInt64> = []
            for number in 0..<layout.pageCount {
                let address = layout.guestAddress(of: PageIndex(number))
                #expect(address.flatMap(layout.page(at:)) == PageIndex(number), "seed \(seed)")
                if let address { addresses.insert(address) }
            }
            #expect(addresses.count == layout.pageCount, "seed \(seed)")
            let known = stride(from: 0, to: end + 8192, by: 4096)
                .filter { layout.page(at: $0) != nil }
            #expect(known.count == layout.pageCount, "seed \(seed)")
        }
    }

    @Test func `16 regions are allowed, none and 17 are not`() throws {
        let regions = (0..<17).map { Region(guestAddress: UInt64($0) << 20, pageCount: 1) }
        #expect(try GuestLayout(regions: Array(regions[..<16])).pageCount == 16)
        expect(regions, .regionCount(17))
        expect([], .regionCount(0))
    }

    @Test(arguments: [0, -1, .min, .max, (1 << 30) + 1])
    func `a region of no pages, or of too many, cannot be`(pageCount: Int) {
        expect([Region(guestAddress: 0, pageCount: pageCount)], .region(index: 0))
    }

    @Test(arguments: [1, 8, 4095, 4097, .max] as [UInt64])
    func `an unaligned region cannot be`(address: UInt64) {
        expect([Region(guestAddress: address, pageCount: 1)], .region(index: 0))
    }

    @Test func `regions that overlap, touch the wrong way or go down cannot be`() throws {
        let first = Region(guestAddress: 8192, pageCount: 2)
        expect([first, first], .region(index: 1))
        expect([first, Region(guestAddress: 12_288, pageCount: 1)], .region(index: 1))
        expect([first, Region(guestAddress: 0, pageCount: 1)], .region(index: 1))
        expect([first, Region(guestAddress: 0, pageCount: 3)], .region(index: 1))
        let touching = [first, Region(guestAddress: 16_384, pageCount: 1)]
        #expect(try GuestLayout(regions: touching).pageCount == 3)
    }

    @Test func `memory ends with the 52-bit address space`() throws {
        let end = GuestLayout.endOfAddresses
        let last = Region(guestAddress: end - 4096, pageCount: 1)
        #expect(try GuestLayout(regions: [last]).page(at: end - 1) == PageIndex(0))
        expect([Region(guestAddress: end, pageCount: 1)], .region(index: 0))
        expect([Region(guestAddress: end - 4096, pageCount: 2)], .region(index: 0))
        expect([Region(guestAddress: end - 4096, pageCount: 1 << 30)], .region(index: 0))
        expect([last, Region(guestAddress: end, pageCount: 1)], .region(index: 1))
        expect([Region(guestAddress: .max - 4095, pageCount: 1)], .region(index: 0))
        expect([Region(guestAddress: 1 << 63, pageCount: 1 << 30)], .region(index: 0))
    }

    @Test func `4 TiB are allowed, a page more is not`() throws {
        let half = 1 << 29
        let next = UInt64(half) << 12
        let most = [
            Region(guestAddress: 0, pageCount: half),
            Region(guestAddress: next, pageCount: half),
        ]
        #expect(try GuestLayout(regions: most).pageCount == GuestLayout.mostPages)
        expect(most + [Region(guestAddress: next * 2, pageCount: 1)], .tooManyPages)
        let sixteen = (0..<16).map { number in
            Region(guestAddress: UInt64(number) << 42, pageCount: 1 << 30)
        }
        expect(sixteen, .tooManyPages)
    }

    private func expect(_ regions: [GuestLayout.Region], _ defect: GuestLayout.Defect) {
        #expect(throws: defect) { try GuestLayout(regions: regions) }
    }
}
