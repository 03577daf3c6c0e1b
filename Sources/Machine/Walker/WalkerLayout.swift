// SPDX-License-Identifier: Apache-2.0

internal import CGuest
internal import GuestMemory

/// Where the walker's vCPUs have their slices in a layout of memory.
struct WalkerLayout {
    /// Least memory: what lies below the slices, and as much again.
    static let leastByteCount = 4 << 20
    /// Guest physical addresses end here.
    static let endOfAddresses = UInt64(CGUEST_MOST_GIBIBYTES) << 30

    /// First page behind program, blocks and page tables.
    static let firstPage = Int(CGUEST_SLICES) >> GuestPage.shift

    /// Pages below the hole; all pages where there is none.
    let lowPages: Int
    /// Pages the hole is wide.
    let holePages: Int
    /// Pages of each slice.
    let slicePages: Int
    /// GiB of addresses that page tables have to cover.
    let gibibytes: Int

    /// Checks a layout, which may come from a peer.
    ///
    /// - Parameters:
    ///   - layout: The memory.
    ///   - vCPUCount: 1 to `CGUEST_MOST_VCPUS`.
    /// - Throws: ``MachineError/guestMemory(_:)``.
    init(_ layout: GuestLayout, vCPUCount: Int) throws(MachineError) {
        guard let low = layout.regions.first, low.guestAddress == 0, layout.regions.count <= 2
        else { throw .guestMemory(.shape(layout.description)) }
        let lowBytes = low.pageCount << GuestPage.shift
        guard lowBytes >= Self.leastByteCount else {
            throw .guestMemory(.tooSmall(byteCount: lowBytes, least: Self.leastByteCount))
        }
        let end = layout.regions.last?.endAddress ?? 0
        guard end <= Self.endOfAddresses else {
            throw .guestMemory(.tooLarge(endAddress: end, most: Self.endOfAddresses))
        }
        lowPages = low.pageCount
        holePages =
            layout.regions.count == 2
            ? Int(layout.regions[1].guestAddress >> UInt64(GuestPage.shift)) - low.pageCount : 0
        slicePages = (layout.pageCount - Self.firstPage) / vCPUCount
        gibibytes = Int((end + (1 << 30) - 1) >> 30)
    }

    /// First page of a vCPU's slice.
    func firstPage(ofVCPU index: Int) -> Int { Self.firstPage + index * slicePages }

    /// Page number that the guest knows a page by: its physical address divided by 4096.
    func pageNumber(ofPage index: Int) -> UInt64 {
        UInt64(index < lowPages ? index : index + holePages)
    }
}
