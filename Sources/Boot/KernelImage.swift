// SPDX-License-Identifier: Apache-2.0

/// A Linux kernel as it lies in a file, checked: the file may hold anything.
package struct KernelImage: Sendable {
    /// How a kernel is entered.
    package enum Entry: Equatable, Sendable {
        /// In 64-bit mode, with the address of `boot_params` in RSI.
        case long(UInt64)
        /// In 32-bit mode without paging, with the address of `hvm_start_info` in EBX (PVH).
        case pvh(UInt32)
    }

    /// Bytes of the file that go to an address of guest memory.
    package struct Segment: Equatable, Sendable {
        /// Where in the file.
        package let source: Range<Int>
        /// Guest physical address of the first byte.
        package let address: UInt64

        /// - Parameters:
        ///   - source: Where in the file.
        ///   - address: Guest physical address of the first byte.
        package init(source: Range<Int>, address: UInt64) {
            self.source = source
            self.address = address
        }
    }

    /// The file.
    package let bytes: [UInt8]
    /// What goes where; within `addresses`.
    package let segments: [Segment]
    /// All memory the kernel needs before it looks at the memory map.
    package let addresses: Range<UInt64>
    /// Where and how it begins.
    package let entry: Entry
    /// The setup header of a bzImage; for others one that says as much as is known.
    package let setup: SetupHeader

    /// Checks a file.
    ///
    /// - Parameter file: A bzImage or an ELF vmlinux for x86-64, or anything else.
    /// - Throws: What is wrong with it; the first thing found.
    package init(_ file: [UInt8]) throws(BootDefect) {
        let image = ImageBytes(bytes: file)
        if image.number(at: 0) == ELFFile.magic {
            self = try ELFFile(image).kernel()
        } else if image.number(at: SetupHeader.magicOffset) == SetupHeader.magic {
            self = try BzImage(image).kernel()
        } else {
            throw .unknownFormat
        }
    }

    init(
        bytes: [UInt8],
        segments: [Segment],
        addresses: Range<UInt64>,
        entry: Entry,
        setup: SetupHeader
    ) {
        self.bytes = bytes
        self.segments = segments
        self.addresses = addresses
        self.entry = entry
        self.setup = setup
    }
}
