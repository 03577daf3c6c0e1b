// SPDX-License-Identifier: Apache-2.0

/// A bzImage: setup code of real mode, then the kernel that unpacks itself.
///
/// The file may hold anything. Linux, Documentation/arch/x86/boot.rst.
struct BzImage {
    let image: ImageBytes

    private static let sectorByteCount = 512
    /// Offset of the 64-bit entry in the part of protected mode.
    private static let longEntry: UInt64 = 0x200
    /// The first protocol whose header says whether there is a 64-bit entry.
    private static let leastVersion: UInt16 = 0x20C
    /// Alignments are powers of two, and no kernel asks for more than 16 MiB.
    private static let largestAlignment: UInt32 = 1 << 24

    init(_ image: ImageBytes) {
        self.image = image
    }

    /// Checks all fields that are used.
    func kernel() throws(BootDefect) -> KernelImage {
        guard try field(0x1FE, UInt16.self) == 0xAA55 else {
            throw .bzImage("its boot flag is missing")
        }
        let version = try field(0x206, UInt16.self)
        guard version >= Self.leastVersion else {
            throw .bzImage(
                "boot protocol \(version >> 8).\(version & 0xFF) has no 64-bit entry; "
                    + "2.12 or newer is needed"
            )
        }
        guard try field(0x236, UInt16.self) & 1 != 0 else {
            throw .bzImage("it has no 64-bit entry")
        }
        guard try field(0x211, UInt8.self) & 1 != 0 else {
            throw .bzImage("it is not loaded high")
        }
        let start = try payloadStart()
        let byteCount = UInt64(image.count - start)
        let address = try loadAddress()
        let size = max(UInt64(try field(0x260, UInt32.self)), byteCount)
        return KernelImage(
            bytes: image.bytes,
            segments: [.init(source: start..<image.count, address: address)],
            addresses: address..<address + size,
            entry: .long(address + Self.longEntry),
            setup: try header()
        )
    }

    private func payloadStart() throws(BootDefect) -> Int {
        let sectors = Int(try field(0x1F1, UInt8.self))
        // Zero stands for four, since long ago.
        let start = ((sectors == 0 ? 4 : sectors) + 1) * Self.sectorByteCount
        guard image.count > start + Int(Self.longEntry) else {
            throw .bzImage("it ends after \(image.count) bytes, before its kernel begins")
        }
        return start
    }

    private func loadAddress() throws(BootDefect) -> UInt64 {
        let address = try field(0x258, UInt64.self)
        let alignment = try field(0x230, UInt32.self)
        guard alignment.nonzeroBitCount == 1, alignment <= Self.largestAlignment else {
            throw .bzImage("its alignment is \(alignment)")
        }
        guard address >= BootPlan.highStart, address < 1 << 32,
            address % UInt64(alignment) == 0
        else { throw .bzImage("its load address is 0x\(String(address, radix: 16))") }
        return address
    }

    private func header() throws(BootDefect) -> SetupHeader {
        // The jump over the header says where it ends.
        let end = SetupHeader.magicOffset + Int(try field(0x201, UInt8.self))
        guard (0x264...SetupHeader.end).contains(end), end <= image.count else {
            throw .bzImage("its header ends at \(end)")
        }
        return SetupHeader(
            bytes: Array(image.bytes[SetupHeader.offset..<end]),
            highestInitrdAddress: UInt64(try field(0x22C, UInt32.self)),
            commandLineLimit: Int(try field(0x238, UInt32.self))
        )
    }

    private func field<Value: FixedWidthInteger & UnsignedInteger>(
        _ offset: Int,
        _ type: Value.Type
    ) throws(BootDefect) -> Value {
        guard let value = image.number(at: offset, as: type) else {
            throw .bzImage("it ends after \(image.count) bytes, within its header")
        }
        return value
    }
}
