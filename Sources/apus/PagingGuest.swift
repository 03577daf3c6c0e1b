// SPDX-License-Identifier: Apache-2.0

internal import CGuest
internal import GuestMemory
internal import KVM
internal import LinuxSystem

/// A guest whose vCPUs write one word into every page of their memory once, and end.
///
/// Its first 2 MiB hold program and page tables and are present from the start; the memory that is
/// paged in lies in one piece from 4 GiB on.
final class PagingGuest: Sendable {
    // The VM uses the memory: it goes first.
    let virtualCPUs: [VirtualCPU]
    let exits: FaultExits
    private let virtualMachine: VirtualMachine
    let memory: GuestRAM
    /// Whether vCPUs map a page they have made present before they touch it again.
    let prefaults: Bool

    /// What the guest writes into the first eight bytes of each page.
    static let word: UInt64 = 0x0123_4567_89AB_CDEF
    /// Pages of 4 KiB before those that are paged in.
    static let imagePages = (2 << 20) / GuestPage.byteCount
    /// The most memory whose page tables fit into the image.
    static let mostBytes = 200 << 30
    /// The most vCPUs whose orders fit into the image.
    static let mostVCPUs = 1024

    private enum Address {
        static let pageTables = 0x2000
        static let program = 0x10000
        static let orders = 0x20000
        static let pageDirectories = 0x100000
        static let data: UInt64 = 4 << 30
    }

    /// Everything is there but the memory that is paged in, and no vCPU has run.
    ///
    /// - Throws: What the host lacks or refuses.
    init(_ parameters: PagingParameters) throws {
        let layout = try GuestLayout(regions: [
            .init(guestAddress: 0, pageCount: Self.imagePages),
            .init(
                guestAddress: Address.data,
                pageCount: parameters.byteCount / GuestPage.byteCount
            ),
        ])
        memory = try Self.reserve(layout, parameters.backing)
        let system = try KVMSystem()
        guard parameters.vCPUs <= system.check(.mostVCPUs) else {
            throw BenchFailure.hostUnfit(
                "KVM takes \(system.check(.mostVCPUs)) vCPUs at the most here, "
                    + "\(parameters.vCPUs) are asked for"
            )
        }
        (virtualMachine, exits) = try FaultExits.probe(
            FaultPathChoice(parameters.path),
            on: system,
            layout: layout
        )
        prefaults = parameters.prefaults && exits.canPrefault
        try virtualMachine.setMemory(memory)
        let cpuid = try system.supportedCPUID()
        var virtualCPUs: [VirtualCPU] = []
        for index in 0..<parameters.vCPUs {
            let virtualCPU = try virtualMachine.makeVirtualCPU(index: index)
            try virtualCPU.setCPUID(cpuid)
            try virtualCPU.enterLongMode(
                at: UInt64(Address.program),
                pageTables: UInt64(Address.pageTables),
                argument: UInt64(Self.orderAddress(index))
            )
            virtualCPUs.append(virtualCPU)
        }
        self.virtualCPUs = virtualCPUs
        writeImage(parameters)
    }

    /// Compares memory, all of it present, with what it should hold.
    ///
    /// - Parameter filler: The byte that all pages were full of when they were paged in.
    /// - Returns: Whether each page holds what the guest wrote, and behind that what it came with.
    func isAsExpected(filler: UInt8) -> Bool {
        let rest = UInt64(filler) &* 0x0101_0101_0101_0101
        for page in Self.imagePages..<memory.layout.pageCount {
            let bytes = unsafe memory.bytes(of: PageRange(first: PageIndex(page), count: 1))
            let first = unsafe bytes.load(as: UInt64.self)
            let second = unsafe bytes.load(fromByteOffset: 8, as: UInt64.self)
            let last = unsafe bytes.load(
                fromByteOffset: GuestPage.byteCount - 8,
                as: UInt64.self
            )
            guard first == Self.word, second == rest, last == rest else { return false }
        }
        return true
    }

    private static func reserve(
        _ layout: GuestLayout,
        _ backing: PagingBacking
    ) throws -> GuestRAM {
        if let obstacle = GuestRAM.obstacle(to: layout, backing.guestBacking) {
            throw BenchFailure.hostUnfit(obstacle)
        }
        return try GuestRAM(layout: layout, backing: backing.guestBacking)
    }

    // MARK: Image

    private static func orderAddress(_ index: Int) -> Int {
        Address.orders + index * MemoryLayout<cguest_touch>.stride
    }

    private func writeImage(_ parameters: PagingParameters) {
        let image = unsafe memory.bytes(
            of: PageRange(first: PageIndex(0), count: Self.imagePages)
        )
        // All of it, so that none of it is absent later.
        unsafe image.initializeMemory(as: UInt8.self, repeating: 0)
        unsafe image.baseAddress?.advanced(by: Address.program).copyMemory(
            from: cguest_toucher(),
            byteCount: cguest_toucher_byte_count()
        )
        for index in 0..<parameters.vCPUs {
            let first = parameters.overlaps ? 0 : index * parameters.bytesPerVCPU
            let order = cguest_touch(
                address: Address.data + UInt64(first),
                pages: UInt64(parameters.touchesPerVCPU),
                word: Self.word
            )
            unsafe image.storeBytes(
                of: order,
                toByteOffset: Self.orderAddress(index),
                as: cguest_touch.self
            )
        }
        unsafe writePageTables(to: image, byteCount: parameters.byteCount)
    }

    /// An identity map of 2 MiB pages, with accessed and dirty bits set, so that the processor
    /// does not write to the tables.
    @unsafe private func writePageTables(
        to image: UnsafeMutableRawBufferPointer,
        byteCount: Int
    ) {
        let table = 0x23  // present, writable, accessed
        let largePage = 0xE3  // the same, dirty, 2 MiB
        let pointers = Address.pageTables + GuestPage.byteCount
        unsafe image.storeBytes(
            of: pointers | table,
            toByteOffset: Address.pageTables,
            as: Int.self
        )
        let firstData = Int(Address.data >> 30)
        let endData = firstData + (byteCount + (1 << 30) - 1) >> 30
        for (number, gibibyte) in ([0] + Array(firstData..<endData)).enumerated() {
            let directory = Address.pageDirectories + number << GuestPage.shift
            unsafe image.storeBytes(
                of: directory | table,
                toByteOffset: pointers + gibibyte * 8,
                as: Int.self
            )
            for entry in 0..<512 {
                unsafe image.storeBytes(
                    of: gibibyte << 30 | entry << 21 | largePage,
                    toByteOffset: directory + entry * 8,
                    as: Int.self
                )
            }
        }
    }
}

extension FaultPathChoice {
    /// Only this path.
    fileprivate init(_ path: FaultPath) {
        switch path {
        case .nowait: self = .nowait
        case .attributes: self = .attributes
        case .userfault: self = .userfault
        }
    }
}
