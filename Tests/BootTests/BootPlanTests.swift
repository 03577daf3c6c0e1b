// SPDX-License-Identifier: Apache-2.0

import Boot
import GuestMemory
import Testing

struct `A plan to boot` {
    private let kernel: KernelImage
    private let layout: GuestLayout

    init() throws {
        kernel = try KernelImage(SampleKernels.bzImage)
        layout = try GuestLayout.pc(byteCount: 64 << 20)
    }

    private func plan(
        _ kernel: KernelImage? = nil,
        initrd: Int? = nil,
        line: String = "panic=-1",
        layout: GuestLayout? = nil,
        vCPUCount: Int = 2
    ) throws -> BootPlan {
        try BootPlan(
            kernel ?? self.kernel,
            initrdByteCount: initrd,
            commandLine: line,
            layout: layout ?? self.layout,
            vCPUCount: vCPUCount
        )
    }

    @Test func `tells the kernel its command line, RAM disk and memory`() throws {
        let plan = try plan(initrd: 5000)
        let page = try #require(plan.pieces.first { $0.address == plan.argument }).bytes
        #expect(page.number(at: 0x202) == UInt32(0x5372_6448))
        #expect(page.number(at: 0x210) == UInt8(0xFF))
        let address = try #require(plan.initrdAddress)
        #expect(address == (64 << 20) - 8192)
        #expect(page.number(at: 0x218) == UInt32(address))
        #expect(page.number(at: 0x21C) == UInt32(5000))
        let line: UInt32 = page.number(at: 0x228)
        let text = try #require(plan.pieces.first { $0.address == UInt64(line) })
        #expect(text.bytes == Array("panic=-1".utf8) + [0])
        #expect(page.number(at: 0x1E8) == UInt8(3))
        #expect(page.number(at: 0x2D0 + 40) == UInt64(0x10_0000))
        #expect(page.number(at: 0x2D0 + 48) == UInt64(63 << 20))
        #expect(page.number(at: 0x2D0 + 56) == UInt32(1))
    }

    @Test func `has memory on both sides of the hole`() throws {
        let plan = try plan(initrd: 4096, layout: GuestLayout.pc(byteCount: 5 << 30))
        let page = try #require(plan.pieces.first { $0.address == plan.argument }).bytes
        #expect(page.number(at: 0x1E8) == UInt8(4))
        #expect(page.number(at: 0x2D0 + 60) == UInt64(4 << 30))
        #expect(page.number(at: 0x2D0 + 68) == UInt64(2 << 30))
        // As high as the kernel takes it.
        #expect(plan.initrdAddress == (2 << 30) - 4096)
    }

    @Test func `tells a PVH kernel the same in its own way`() throws {
        let plan = try plan(
            KernelImage(SampleKernels.elf(pvhEntry: 0x100_0040)),
            initrd: 5000
        )
        let info = try #require(plan.pieces.first { $0.address == plan.argument }).bytes
        #expect(info.number(at: 0) == UInt32(0x336E_C578))
        #expect(info.number(at: 12) == UInt32(1))
        let module = Int(info.number(at: 16) as UInt64 - plan.argument)
        #expect(info.number(at: module) == plan.initrdAddress)
        #expect(info.number(at: module + 8) == UInt64(5000))
        #expect(info.number(at: 48) == UInt32(3))
    }

    @Test(arguments: [1, 2, 64])
    func `has tables whose sums are zero and that count the vCPUs`(vCPUCount: Int) throws {
        let pieces = try plan(vCPUCount: vCPUCount).pieces
        let tables = try #require(pieces.first { $0.address == 0xE_0000 })
        func bytes(_ address: UInt64, _ count: Int) -> [UInt8] {
            let start = Int(address - tables.address)
            return Array(tables.bytes[start..<start + count])
        }
        func table(_ address: UInt64) -> [UInt8] {
            let length: UInt32 = bytes(address, 8).number(at: 4)
            return bytes(address, Int(length))
        }
        func sum(_ bytes: [UInt8]) -> UInt8 { bytes.reduce(0, &+) }
        let pointer = bytes(tables.address, 36)
        #expect(sum(Array(pointer[..<20])) == 0)
        #expect(sum(pointer) == 0)
        let root = table(pointer.number(at: 24))
        #expect(sum(root) == 0)
        let fixed = table(root.number(at: 36))
        let controllers = table(root.number(at: 44))
        #expect(fixed.count == 276)
        #expect(sum(fixed) == 0)
        #expect(sum(controllers) == 0)
        let code = table(fixed.number(at: 140))
        #expect(sum(code) == 0)
        #expect(code.number(at: 0) == UInt32(0x5444_5344))
        var count = 0
        var offset = 44
        while offset < controllers.count {
            if controllers[offset] == 0 { count += 1 }
            offset += Int(controllers[offset + 1])
        }
        #expect(count == vCPUCount)
        #expect(tables.address + UInt64(tables.bytes.count) <= 1 << 20)
    }

    @Test func `has pieces that do not overlap each other or the kernel`() throws {
        for kernel in [kernel, try KernelImage(SampleKernels.elf(pvhEntry: 0x100_0040))] {
            var ranges = try plan(kernel, vCPUCount: 64).pieces.map {
                $0.address..<$0.address + UInt64($0.bytes.count)
            }
            ranges.append(kernel.addresses)
            ranges.sort { $0.lowerBound < $1.lowerBound }
            for (before, after) in zip(ranges, ranges.dropFirst()) {
                #expect(before.upperBound <= after.lowerBound)
            }
        }
    }

    @Test func `is refused for what does not fit, in one line each`() throws {
        let small = try GuestLayout.pc(byteCount: 16 << 20)
        let tiny = try GuestLayout.pc(byteCount: 1 << 20)
        let errors: [BootDefect?] = [
            #expect(throws: BootDefect.self) { try plan(layout: small) },
            #expect(throws: BootDefect.self) { try plan(layout: tiny) },
            #expect(throws: BootDefect.self) { try plan(initrd: 47 << 20) },
            #expect(throws: BootDefect.self) { try plan(initrd: 0) },
            #expect(throws: BootDefect.self) { try plan(line: String(repeating: "a", count: 256)) },
            #expect(throws: BootDefect.self) { try plan(line: "a\u{0}b") },
        ]
        for error in errors {
            let text = try #require(error).description
            #expect(!text.contains("\n"))
        }
        #expect(try plan(initrd: 46 << 20).initrdAddress == 18 << 20)
    }
}
