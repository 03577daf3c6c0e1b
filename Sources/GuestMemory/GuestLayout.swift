// SPDX-License-Identifier: Apache-2.0

/// Where guest memory lies in the guest's physical address space.
///
/// Regions are ascending, disjoint and page-aligned; pages are numbered through all of them.
package struct GuestLayout: Equatable, Sendable, CustomStringConvertible {
    /// A stretch of guest memory.
    package struct Region: Equatable, Sendable {
        /// Guest physical address of the first byte, page-aligned.
        package let guestAddress: UInt64
        /// Pages in the region, at least one.
        package let pageCount: Int

        /// - Parameters:
        ///   - guestAddress: Guest physical address of the first byte.
        ///   - pageCount: Pages in the region.
        package init(guestAddress: UInt64, pageCount: Int) {
            self.guestAddress = guestAddress
            self.pageCount = pageCount
        }

        /// Guest physical address behind the last byte.
        package var endAddress: UInt64 { guestAddress + UInt64(pageCount) << GuestPage.shift }
    }

    /// Most regions a layout may have.
    package static let mostRegions = 16
    /// Most pages a layout may have: 4 TiB of memory.
    package static let mostPages = 1 << 30
    /// Guest physical addresses end here: 52 bits.
    package static let endOfAddresses: UInt64 = 1 << 52

    /// The regions, by ascending address.
    package let regions: [Region]
    /// Pages in all regions.
    package let pageCount: Int

    /// Why a layout cannot be.
    package enum Defect: Error, Equatable {
        /// None, or more than ``GuestLayout/mostRegions``.
        case regionCount(Int)
        /// A region is empty, unaligned, beyond the address space, or not above the one before it.
        case region(index: Int)
        /// More than ``GuestLayout/mostPages``.
        case tooManyPages
    }

    /// Checks and takes regions that may come from a peer.
    package init(regions: [Region]) throws(Defect) {
        guard (1...Self.mostRegions).contains(regions.count) else {
            throw .regionCount(regions.count)
        }
        var total = 0
        var end: UInt64 = 0
        for (index, region) in regions.enumerated() {
            guard region.pageCount > 0, region.pageCount <= Self.mostPages,
                region.guestAddress % UInt64(GuestPage.byteCount) == 0,
                region.guestAddress >= end,
                region.guestAddress < Self.endOfAddresses,
                region.endAddress <= Self.endOfAddresses
            else { throw .region(index: index) }
            end = region.endAddress
            total += region.pageCount
            guard total <= Self.mostPages else { throw .tooManyPages }
        }
        self.regions = regions
        pageCount = total
    }

    /// The layout of a PC: memory from address 0, with a hole from 3 GiB to 4 GiB.
    ///
    /// - Parameter byteCount: Above zero, a multiple of the page size.
    /// - Returns: The layout.
    /// - Throws: The ``Defect`` of the layout, for a size that cannot be.
    package static func pc(byteCount: Int) throws(Defect) -> GuestLayout {
        let pages = byteCount >> GuestPage.shift
        let below = 3 << (30 - GuestPage.shift)
        if pages <= below {
            return try GuestLayout(regions: [Region(guestAddress: 0, pageCount: pages)])
        }
        return try GuestLayout(regions: [
            Region(guestAddress: 0, pageCount: below),
            Region(guestAddress: 4 << 30, pageCount: pages - below),
        ])
    }

    /// Bytes in all regions.
    package var byteCount: Int { pageCount << GuestPage.shift }

    /// Whether every region begins and ends at a multiple of so many bytes.
    package func isAligned(to byteCount: Int) -> Bool {
        regions.allSatisfy {
            $0.guestAddress % UInt64(byteCount) == 0 && $0.endAddress % UInt64(byteCount) == 0
        }
    }

    /// Finds the page a guest physical address lies in; nil outside guest memory.
    package func page(at guestAddress: UInt64) -> PageIndex? {
        var before = 0
        for region in regions {
            if guestAddress >= region.guestAddress && guestAddress < region.endAddress {
                return PageIndex(
                    before + Int((guestAddress - region.guestAddress) >> UInt64(GuestPage.shift))
                )
            }
            before += region.pageCount
        }
        return nil
    }

    /// Guest physical address of a page; nil for a page that does not exist.
    package func guestAddress(of page: PageIndex) -> UInt64? {
        var rest = page.rawValue
        guard rest >= 0 else { return nil }
        for region in regions {
            if rest < region.pageCount {
                return region.guestAddress + UInt64(rest) << UInt64(GuestPage.shift)
            }
            rest -= region.pageCount
        }
        return nil
    }

    /// For example `0x0+512MiB, 0x100000000+1024MiB`.
    package var description: String {
        regions.map { region in
            let bytes = region.pageCount << GuestPage.shift
            let size = bytes % (1 << 20) == 0 ? "\(bytes >> 20)MiB" : "\(bytes >> 10)KiB"
            return "0x\(String(region.guestAddress, radix: 16))+\(size)"
        }
        .joined(separator: ", ")
    }
}
