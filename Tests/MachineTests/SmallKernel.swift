// SPDX-License-Identifier: Apache-2.0

/// An ELF file with a few instructions, booted as a Linux kernel would be.
enum SmallKernel {
    /// Guest physical address of its first instruction.
    static let address: UInt64 = 0x20_0000

    /// The file.
    ///
    /// - Parameter program: Machine code of 64-bit mode, at most 2 KiB.
    /// - Returns: Its bytes.
    static func file(_ program: [UInt8]) -> [UInt8] {
        var file = [UInt8](repeating: 0, count: 4096)
        func put(_ value: UInt64, _ byteCount: Int, at offset: Int) {
            for position in 0..<byteCount {
                file[offset + position] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(position)))
            }
        }
        put(0x464C_457F, 4, at: 0)
        put(0x0102, 2, at: 4)
        put(62, 2, at: 18)
        put(address, 8, at: 24)
        put(64, 8, at: 32)
        put(56, 2, at: 54)
        put(1, 2, at: 56)
        put(1, 4, at: 64)
        put(2048, 8, at: 72)
        put(address, 8, at: 88)
        put(2048, 8, at: 96)
        put(2048, 8, at: 104)
        file.replaceSubrange(2048..<2048 + program.count, with: program)
        return file
    }

    /// OUT of one byte to a port.
    static func out(_ value: UInt8, _ port: UInt16) -> [UInt8] {
        [0x66, 0xBA, UInt8(port & 0xFF), UInt8(port >> 8), 0xB0, value, 0xEE]
    }

    /// Writes what powers off.
    static let powerOff: [UInt8] = [
        0x66, 0xBA, 0x04, 0x06,  // mov dx, 0x604
        0x66, 0xB8, 0x00, 0x34,  // mov ax, 0x3400
        0x66, 0xEF,  // out dx, ax
        0xF4,  // hlt
    ]

    /// Goes on for ever.
    static let loop: [UInt8] = [0xEB, 0xFE]
}
