// SPDX-License-Identifier: Apache-2.0

/// Kernels that run nothing, in the two formats, right in every field that a loader looks at.
enum SampleKernels {
    /// A bzImage of one setup sector and one KiB of kernel.
    static var bzImage: [UInt8] {
        var file = [UInt8](repeating: 0, count: 2048)
        file.put(UInt8(1), at: 0x1F1)
        file.put(UInt16(0xAA55), at: 0x1FE)
        file.put(UInt16(0x6AEB), at: 0x200)  // a jump to 0x26C, where the header ends
        file.put(UInt32(0x5372_6448), at: 0x202)
        file.put(UInt16(0x20F), at: 0x206)
        file.put(UInt8(1), at: 0x211)
        file.put(UInt32(0x7FFF_FFFF), at: 0x22C)
        file.put(UInt32(0x20_0000), at: 0x230)
        file.put(UInt8(1), at: 0x234)
        file.put(UInt16(1), at: 0x236)
        file.put(UInt32(255), at: 0x238)
        file.put(UInt64(0x100_0000), at: 0x258)
        file.put(UInt32(0x20_0000), at: 0x260)
        for offset in 1024..<2048 { file[offset] = UInt8(offset & 0xFF) }
        return file
    }

    /// An ELF file with one segment of 256 bytes, and where asked for a note with a PVH entry.
    static func elf(pvhEntry: UInt32? = nil) -> [UInt8] {
        var file = [UInt8](repeating: 0, count: 1024)
        file.put(UInt32(0x464C_457F), at: 0)
        file.put(UInt8(2), at: 4)
        file.put(UInt8(1), at: 5)
        file.put(UInt16(62), at: 18)
        file.put(UInt64(0x100_0010), at: 24)
        file.put(UInt64(64), at: 32)
        file.put(UInt16(56), at: 54)
        file.put(UInt16(pvhEntry == nil ? 1 : 2), at: 56)
        putSegment(&file, at: 64, kind: 1, offset: 512, byteCount: 256)
        putSegment(&file, at: 120, kind: 4, offset: 256, byteCount: 40)
        // A note that means something else first.
        file.put(UInt32(4), at: 256)
        file.put(UInt32(1), at: 260)
        file.put(UInt32(6), at: 264)
        file.put(UInt32(0x006E_6558), at: 268)
        file.put(UInt32(4), at: 276)
        file.put(UInt32(4), at: 280)
        file.put(UInt32(18), at: 284)
        file.put(UInt32(0x006E_6558), at: 288)
        file.put(pvhEntry ?? 0, at: 292)
        return file
    }

    private static func putSegment(
        _ file: inout [UInt8],
        at header: Int,
        kind: UInt32,
        offset: UInt64,
        byteCount: UInt64
    ) {
        file.put(kind, at: header)
        file.put(offset, at: header + 8)
        file.put(UInt64(0x100_0000), at: header + 24)
        file.put(byteCount, at: header + 32)
        file.put(byteCount * 2, at: header + 40)
    }
}

extension [UInt8] {
    /// Writes a little-endian number.
    mutating func put<Value: FixedWidthInteger>(_ value: Value, at offset: Int) {
        for position in 0..<Value.bitWidth / 8 {
            self[offset + position] = UInt8(truncatingIfNeeded: value >> Value(8 * position))
        }
    }

    /// Reads a little-endian number.
    func number<Value: FixedWidthInteger>(at offset: Int) -> Value {
        (0..<Value.bitWidth / 8).reduce(0) {
            $0 | Value(truncatingIfNeeded: self[offset + $1]) << Value(8 * $1)
        }
    }
}
