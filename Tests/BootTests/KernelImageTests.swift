// SPDX-License-Identifier: Apache-2.0

import Boot
import Testing

struct `A kernel's file` {
    @Test func `that is a bzImage is loaded where it wants, without its setup code`() throws {
        let kernel = try KernelImage(SampleKernels.bzImage)
        #expect(kernel.segments == [.init(source: 1024..<2048, address: 0x100_0000)])
        #expect(kernel.addresses == 0x100_0000..<0x120_0000)
        #expect(kernel.entry == .long(0x100_0200))
    }

    @Test func `that is an ELF file is entered in 64-bit mode`() throws {
        let kernel = try KernelImage(SampleKernels.elf())
        #expect(kernel.segments == [.init(source: 512..<768, address: 0x100_0000)])
        #expect(kernel.addresses == 0x100_0000..<0x100_0200)
        #expect(kernel.entry == .long(0x100_0010))
    }

    @Test func `is entered by PVH where it says how`() throws {
        #expect(
            try KernelImage(SampleKernels.elf(pvhEntry: 0x100_0040)).entry == .pvh(0x100_0040)
        )
    }

    @Test(arguments: [[], [0x7F], [UInt8](repeating: 0, count: 4096), Array("#!/bin/sh\n".utf8)])
    func `that is neither is refused`(file: [UInt8]) {
        #expect(throws: BootDefect.unknownFormat) { try KernelImage(file) }
    }

    @Test(
        arguments: [
            (0x1FE, [0, 0]), (0x206, [0x0B, 0x02]), (0x236, [0]), (0x211, [0]), (0x1F1, [3]),
            (0x1F1, [255]), (0x230, [3]), (0x230, [0, 0, 0, 0]), (0x230, [0, 0, 0, 0x80]),
            (0x258, [0, 0, 0, 0]), (0x258, [1]), (0x25F, [0x80]), (0x201, [0]), (0x201, [0xFF]),
        ] as [(Int, [UInt8])]
    )
    func `that is a malformed bzImage is refused in one line`(offset: Int, bytes: [UInt8]) throws {
        var file = SampleKernels.bzImage
        file.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        let error = try #require(throws: BootDefect.self) { try KernelImage(file) }
        guard case .bzImage = error else {
            Issue.record("\(error)")
            return
        }
        #expect(!error.description.contains("\n"))
    }

    @Test(
        arguments: [
            (4, [1]), (5, [2]), (18, [3]), (54, [0]), (56, [0, 0]), (56, [65]), (32, [0xFF, 0xFF]),
            (39, [0xFF]), (72, [0xFF, 0xFF]), (79, [0xFF]), (95, [0xFF]), (90, [0]), (103, [0xFF]),
            (105, [0]), (24, [0, 0, 0, 2]), (64, [2]),
        ] as [(Int, [UInt8])]
    )
    func `that is a malformed ELF file is refused in one line`(offset: Int, bytes: [UInt8]) throws {
        var file = SampleKernels.elf()
        file.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        // The address of the segment is at 88; 90 is its byte of 64 KiB to 16 MiB.
        if offset == 90 { file.put(UInt64(0x1000), at: 88) }
        let error = try #require(throws: BootDefect.self) { try KernelImage(file) }
        guard case .elf = error else {
            Issue.record("\(error)")
            return
        }
        #expect(!error.description.contains("\n"))
    }

    @Test func `may end anywhere`() {
        for file in [SampleKernels.bzImage, SampleKernels.elf(pvhEntry: 0x100_0040)] {
            for count in file.indices { _ = try? KernelImage(Array(file.prefix(count))) }
        }
    }

    @Test func `may have any byte anywhere`() {
        for file in [SampleKernels.bzImage, SampleKernels.elf(pvhEntry: 0x100_0040)] {
            for offset in 0..<0x270 {
                for byte: UInt8 in [0, 1, 0x7F, 0x80, 0xFF] {
                    var changed = file
                    changed[offset] = byte
                    _ = try? KernelImage(changed)
                }
            }
        }
    }
}
