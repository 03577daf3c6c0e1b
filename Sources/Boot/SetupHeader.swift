// SPDX-License-Identifier: Apache-2.0

/// The part of a bzImage that tells a boot loader what it needs to know, and takes its answers.
///
/// Linux, Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header".
package struct SetupHeader: Equatable, Sendable {
    /// `HdrS`, at `magicOffset` of the file.
    static let magic: UInt32 = 0x5372_6448
    static let magicOffset = 0x202
    /// Where the header begins, in the file and in `boot_params`.
    static let offset = 0x1F1
    /// Where `boot_params` goes on with something else.
    static let end = 0x290

    /// Its bytes, from `offset` on.
    let bytes: [UInt8]
    /// Highest address an initial RAM disk may touch.
    let highestInitrdAddress: UInt64
    /// Most bytes of a command line, without the zero at its end.
    let commandLineLimit: Int

    /// What a kernel without a header is taken to say.
    static func unknown() -> SetupHeader {
        var bytes = [UInt8](repeating: 0, count: 0x268 - offset)
        bytes.store(UInt16(0xAA55), at: 0x1FE - offset)
        bytes.store(magic, at: magicOffset - offset)
        bytes.store(UInt16(0x20C), at: 0x206 - offset)
        bytes.store(UInt8(1), at: 0x211 - offset)
        return SetupHeader(bytes: bytes, highestInitrdAddress: 0x7FFF_FFFF, commandLineLimit: 2047)
    }
}
