// SPDX-License-Identifier: Apache-2.0

import GuestMemory

/// A guest that touches the page it is told to, in the way it is told to.
///
/// It asks port 0x20 for a command (an address, with an ``Operation`` in the three lowest bits) and
/// tells port 0x22 when it is done. All of it lies in the pages of `image`.
enum CommandedGuest {
    /// How a page is touched.
    enum Operation: UInt32 {
        /// Four bytes are read, and told.
        case read = 0
        /// Four bytes, which port 0x21 gives, are written.
        case write = 1
        /// OUTSB: a byte goes from memory to port 0x23. KVM emulates that.
        case output = 2
        /// INSB: a byte goes from port 0x24 to memory. KVM emulates that.
        case input = 3
        /// MOVSQ: eight bytes go from a device to memory. KVM emulates that.
        case move = 4
    }

    /// Ports that the program uses.
    enum Port {
        static let command: UInt16 = 0x20
        static let operand: UInt16 = 0x21
        static let answer: UInt16 = 0x22
        static let stringOutput: UInt16 = 0x23
        static let stringInput: UInt16 = 0x24
    }

    /// Where the device is that MOVSQ reads; no guest here has memory there.
    static let device: UInt64 = 0x2000_0000
    static let entry: UInt64 = 0x5000
    static let pageTables: UInt64 = 0x2000

    /// The pages that have to be present before anything runs, by number.
    static let image: [Int: [UInt8]] = [
        0x2: page([table(at: 0x3000)]),
        0x3: page([table(at: 0x4000)]),
        0x4: page((0..<512).map { UInt64($0) << 21 | largePage }),
        0x5: program + [UInt8](repeating: 0xF4, count: GuestPage.byteCount - program.count),
    ]

    // Present, writable, accessed and dirty: the processor has nothing to write here.
    private static func table(at address: UInt64) -> UInt64 { address | 0x63 }
    private static let largePage: UInt64 = 0xE3

    private static func page(_ words: [UInt64]) -> [UInt8] {
        let bytes = words.flatMap { word in (0..<8).map { UInt8(word >> ($0 * 8) & 0xFF) } }
        return bytes + [UInt8](repeating: 0, count: GuestPage.byteCount - bytes.count)
    }

    private static let program: [UInt8] = [
        0xE5, 0x20,  //                   start: in eax, 0x20
        0x89, 0xC7,  //                          mov edi, eax
        0x83, 0xE7, 0xF8,  //                    and edi, -8
        0x89, 0xFE,  //                          mov esi, edi
        0x83, 0xE0, 0x07,  //                    and eax, 7
        0x74, 0x17,  //                          jz read
        0xFF, 0xC8,  //                          dec eax
        0x74, 0x17,  //                          jz write
        0xFF, 0xC8,  //                          dec eax
        0x74, 0x19,  //                          jz output
        0xFF, 0xC8,  //                          dec eax
        0x74, 0x1E,  //                          jz input
        0xBE, 0x00, 0x00, 0x00, 0x20,  //        mov esi, 0x20000000
        0x48, 0xA5,  //                          movsq
        0x31, 0xC0,  //                          xor eax, eax
        0xEB, 0x1A,  //                          jmp answer
        0x8B, 0x07,  //                   read:  mov eax, [rdi]
        0xEB, 0x16,  //                          jmp answer
        0xE5, 0x21,  //                   write: in eax, 0x21
        0x89, 0x07,  //                          mov [rdi], eax
        0xEB, 0x10,  //                          jmp answer
        0x66, 0xBA, 0x23, 0x00,  //       output: mov dx, 0x23
        0x6E,  //                                outsb
        0x31, 0xC0,  //                          xor eax, eax
        0xEB, 0x07,  //                          jmp answer
        0x66, 0xBA, 0x24, 0x00,  //       input: mov dx, 0x24
        0x6C,  //                                insb
        0x31, 0xC0,  //                          xor eax, eax
        0xE7, 0x22,  //                   answer: out 0x22, eax
        0xEB, 0xBD,  //                          jmp start
    ]
}
