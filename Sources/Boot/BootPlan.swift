// SPDX-License-Identifier: Apache-2.0

package import GuestMemory

/// What a loader writes into guest memory to start a kernel, and where.
///
/// Pure: made from what is known, written by somebody else. Low memory, up to 640 KiB, holds what
/// the loader makes; ACPI tables lie below 1 MiB, where firmware has them; the kernel lies where it
/// wants, and the initial RAM disk as high as it may, below the hole.
package struct BootPlan: Sendable {
    /// A piece of memory.
    package struct Piece: Equatable, Sendable {
        /// Guest physical address.
        package let address: UInt64
        /// What goes there.
        package let bytes: [UInt8]
    }

    /// Tables and parameters: everything but the kernel and the RAM disk.
    package let pieces: [Piece]
    /// Where the initial RAM disk goes; nil without one.
    package let initrdAddress: UInt64?
    /// Goes into the register in which the kernel looks for its parameters.
    package let argument: UInt64

    /// Top of the page tables that a 64-bit entry starts on.
    package static let pageTables: UInt64 = 0x9000
    /// Memory above the area that is a PC's and not the guest's.
    static let highStart: UInt64 = 1 << 20
    /// Least memory that any kernel is tried with.
    static let leastByteCount: UInt64 = 16 << 20

    private static let parameters: UInt64 = 0x7000
    private static let startInfo: UInt64 = 0x6000
    private static let commandLine: UInt64 = 0x2_0000
    private static let mostCommandLine = 0x1_0000 - 1

    /// Plans.
    ///
    /// - Parameters:
    ///   - kernel: What is started.
    ///   - initrdByteCount: Size of the initial RAM disk; nil without one.
    ///   - text: The kernel's command line; any text without zeros, not too long.
    ///   - layout: Guest memory.
    ///   - vCPUCount: For the ACPI tables, 1 to 64.
    /// - Throws: What does not fit.
    package init(
        _ kernel: KernelImage,
        initrdByteCount: Int?,
        commandLine text: String,
        layout: GuestLayout,
        vCPUCount: Int
    ) throws(BootDefect) {
        guard let low = layout.regions.first, low.guestAddress == 0,
            low.endAddress >= Self.leastByteCount
        else { throw .memory(layout.description) }
        guard kernel.addresses.upperBound <= low.endAddress else {
            throw .kernelTooLarge(
                endAddress: kernel.addresses.upperBound,
                most: low.endAddress
            )
        }
        let line = Array(text.utf8)
        let most = min(kernel.setup.commandLineLimit, Self.mostCommandLine)
        guard line.count <= most else {
            throw .commandLine("it has \(line.count) bytes, and the kernel takes \(most)")
        }
        guard !line.contains(0) else { throw .commandLine("it has a zero byte") }
        let initrd = try Self.place(initrdByteCount, kernel, lowEnd: low.endAddress)
        let map = MemoryMap(layout)
        var pieces = [Piece(address: Self.commandLine, bytes: line + [0])]
        let tables = ACPITables(vCPUCount: vCPUCount)
        pieces.append(Piece(address: ACPITables.address, bytes: tables.bytes))
        let facts = BootFacts(
            commandLineAddress: Self.commandLine,
            initrd: initrd.map { $0..<$0 + UInt64(initrdByteCount ?? 0) },
            tablesAddress: ACPITables.address,
            memory: map
        )
        switch kernel.entry {
        case .long:
            pieces.append(Piece(address: 0x500, bytes: Self.descriptors))
            pieces.append(Piece(address: Self.pageTables, bytes: Self.identityMap))
            pieces.append(
                Piece(address: Self.parameters, bytes: facts.bootParameters(kernel.setup))
            )
            argument = Self.parameters
        case .pvh:
            pieces.append(
                Piece(address: Self.startInfo, bytes: facts.startInfo(at: Self.startInfo))
            )
            argument = Self.startInfo
        }
        self.pieces = pieces
        initrdAddress = initrd
    }

    /// As high as the kernel allows, so that it does not lie where the kernel unpacks itself.
    private static func place(
        _ byteCount: Int?,
        _ kernel: KernelImage,
        lowEnd: UInt64
    ) throws(BootDefect) -> UInt64? {
        guard let byteCount else { return nil }
        guard byteCount > 0 else { throw .initrdEmpty }
        let end = min(lowEnd, kernel.setup.highestInitrdAddress &+ 1) & ~0xFFF
        let start = (kernel.addresses.upperBound + 0xFFF) & ~0xFFF
        let room = end > start ? end - start : 0
        guard UInt64(byteCount) <= room else {
            throw .initrdTooLarge(byteCount: byteCount, most: Int(room))
        }
        return (end - UInt64(byteCount)) & ~0xFFF
    }

    /// A null descriptor, one unused, flat code and flat data, in the order Linux knows.
    private static let descriptors: [UInt8] = {
        var bytes = [UInt8](repeating: 0, count: 32)
        bytes.store(UInt64(0x00AF_9B00_0000_FFFF), at: 16)
        bytes.store(UInt64(0x00CF_9300_0000_FFFF), at: 24)
        return bytes
    }()

    /// Page tables that map the first 4 GiB to themselves, in pages of 2 MiB.
    private static let identityMap: [UInt8] = {
        let page = 4096
        let present: UInt64 = 0x3
        let large: UInt64 = 0x83
        var bytes = [UInt8](repeating: 0, count: 6 * page)
        bytes.store(pageTables + UInt64(page) | present, at: 0)
        for gibibyte in 0..<4 {
            let directory = (2 + gibibyte) * page
            bytes.store(pageTables + UInt64(directory) | present, at: page + gibibyte * 8)
            for entry in 0..<512 {
                let address = UInt64(gibibyte) << 30 | UInt64(entry) << 21
                bytes.store(address | large, at: directory + entry * 8)
            }
        }
        return bytes
    }()
}
