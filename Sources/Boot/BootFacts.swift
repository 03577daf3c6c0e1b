// SPDX-License-Identifier: Apache-2.0

/// What a kernel is told at its start, in the two forms that kernels read.
struct BootFacts {
    let commandLineAddress: UInt64
    let initrd: Range<UInt64>?
    let tablesAddress: UInt64
    let memory: MemoryMap

    /// The zero page of a 64-bit entry.
    ///
    /// Linux, Documentation/arch/x86/zero-page.rst.
    func bootParameters(_ setup: SetupHeader) -> [UInt8] {
        var page = [UInt8](repeating: 0, count: 4096)
        page.replaceSubrange(
            SetupHeader.offset..<SetupHeader.offset + setup.bytes.count,
            with: setup.bytes
        )
        page.store(tablesAddress, at: 0x070)
        page.store(UInt8(memory.entries.count), at: 0x1E8)
        page.store(UInt8(0xFF), at: 0x210)  // a loader without a number
        if let initrd {
            page.store(UInt32(initrd.lowerBound), at: 0x218)
            page.store(UInt32(initrd.upperBound - initrd.lowerBound), at: 0x21C)
        }
        page.store(UInt32(commandLineAddress), at: 0x228)
        for (index, entry) in memory.entries.enumerated() {
            let offset = 0x2D0 + index * 20
            page.store(entry.address, at: offset)
            page.store(entry.byteCount, at: offset + 8)
            page.store(entry.use.rawValue, at: offset + 16)
        }
        return page
    }

    /// `hvm_start_info` and what it points to.
    ///
    /// Xen, public/arch-x86/hvm/start_info.h, version 1.
    ///
    /// - Parameter address: Where these bytes will lie.
    /// - Returns: The bytes.
    func startInfo(at address: UInt64) -> [UInt8] {
        let module = 0x80
        let map = 0x100
        var bytes = [UInt8](repeating: 0, count: map + memory.entries.count * 24)
        bytes.store(UInt32(0x336E_C578), at: 0)
        bytes.store(UInt32(1), at: 4)
        if let initrd {
            bytes.store(UInt32(1), at: 12)
            bytes.store(address + UInt64(module), at: 16)
            bytes.store(initrd.lowerBound, at: module)
            bytes.store(initrd.upperBound - initrd.lowerBound, at: module + 8)
        }
        bytes.store(commandLineAddress, at: 24)
        bytes.store(tablesAddress, at: 32)
        bytes.store(address + UInt64(map), at: 40)
        bytes.store(UInt32(memory.entries.count), at: 48)
        for (index, entry) in memory.entries.enumerated() {
            let offset = map + index * 24
            bytes.store(entry.address, at: offset)
            bytes.store(entry.byteCount, at: offset + 8)
            bytes.store(entry.use.rawValue, at: offset + 16)
        }
        return bytes
    }
}
