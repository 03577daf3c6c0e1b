// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory

/// The memory map that a guest is told (e820).
struct MemoryMap: Equatable {
    /// What memory is for.
    enum Use: UInt32 {
        /// The guest's.
        case ram = 1
        /// Not to be touched.
        case reserved = 2
    }

    /// A stretch of addresses.
    struct Entry: Equatable {
        let address: UInt64
        let byteCount: UInt64
        let use: Use
    }

    let entries: [Entry]

    /// Where a PC's extended BIOS area begins.
    private static let lowEnd: UInt64 = 0x9_FC00

    /// The regions of a layout, less the area of a PC's firmware below 1 MiB.
    init(_ layout: GuestLayout) {
        var entries = [
            Entry(address: 0, byteCount: Self.lowEnd, use: .ram),
            Entry(
                address: Self.lowEnd,
                byteCount: BootPlan.highStart - Self.lowEnd,
                use: .reserved
            ),
        ]
        for region in layout.regions {
            let start = max(region.guestAddress, BootPlan.highStart)
            guard region.endAddress > start else { continue }
            entries.append(
                Entry(address: start, byteCount: region.endAddress - start, use: .ram)
            )
        }
        self.entries = entries
    }
}
