// SPDX-License-Identifier: Apache-2.0

/// An ELF file with a kernel: a vmlinux.
///
/// The file may hold anything. It is entered by PVH where it has a note that says how, otherwise
/// like the 64-bit entry of a bzImage.
struct ELFFile {
    static let magic: UInt32 = 0x464C_457F

    let image: ImageBytes

    private enum Kind {
        static let load: UInt32 = 1
        static let note: UInt32 = 4
    }

    private static let segmentByteCount = 56
    private static let mostSegments = 64
    private static let machine: UInt16 = 62
    /// `XEN_ELFNOTE_PHYS32_ENTRY`.
    private static let entryNote: UInt32 = 18

    /// One program header.
    private struct Header {
        let kind: UInt32
        let source: Range<Int>
        let address: UInt64
        let endAddress: UInt64
    }

    init(_ image: ImageBytes) {
        self.image = image
    }

    /// Checks all fields that are used.
    func kernel() throws(BootDefect) -> KernelImage {
        guard try field(4, UInt8.self) == 2, try field(5, UInt8.self) == 1 else {
            throw .elf("it is not of 64 bits, little-endian")
        }
        guard try field(18, UInt16.self) == Self.machine else {
            throw .elf("it is not for x86-64")
        }
        let headers = try headers()
        let loaded = headers.filter { $0.kind == Kind.load && $0.endAddress > $0.address }
        guard let first = loaded.map(\.address).min(), let end = loaded.map(\.endAddress).max()
        else { throw .elf("it has nothing to load") }
        guard first >= BootPlan.highStart else {
            throw .elf("it is loaded at 0x\(String(first, radix: 16)), below 1 MiB")
        }
        let entry = try entry(headers.filter { $0.kind == Kind.note })
        guard (first..<end).contains(address(of: entry)) else {
            throw .elf("its entry is outside of what is loaded")
        }
        return KernelImage(
            bytes: image.bytes,
            segments: loaded.map { .init(source: $0.source, address: $0.address) },
            addresses: first..<end,
            entry: entry,
            setup: .unknown()
        )
    }

    private func headers() throws(BootDefect) -> [Header] {
        let table = try field(32, UInt64.self)
        let size = Int(try field(54, UInt16.self))
        let count = Int(try field(56, UInt16.self))
        guard size == Self.segmentByteCount, (1...Self.mostSegments).contains(count) else {
            throw .elf("it has \(count) program headers of \(size) bytes")
        }
        guard let range = image.range(table, UInt64(size * count)) else {
            throw .elf("its program headers lie outside of the file")
        }
        var headers: [Header] = []
        for position in 0..<count {
            headers.append(try header(at: range.lowerBound + position * size))
        }
        return headers
    }

    private func header(at offset: Int) throws(BootDefect) -> Header {
        let kind = try field(offset, UInt32.self)
        let fileSize = try field(offset + 32, UInt64.self)
        let memorySize = try field(offset + 40, UInt64.self)
        let address = try field(offset + 24, UInt64.self)
        let (end, overflow) = address.addingReportingOverflow(max(memorySize, fileSize))
        guard let source = image.range(try field(offset + 8, UInt64.self), fileSize) else {
            throw .elf("a segment lies outside of the file")
        }
        guard kind != Kind.load || (!overflow && fileSize <= memorySize) else {
            throw .elf("a segment is larger than its memory")
        }
        return Header(kind: kind, source: source, address: address, endAddress: overflow ? 0 : end)
    }

    private func entry(_ notes: [Header]) throws(BootDefect) -> KernelImage.Entry {
        for note in notes {
            if let address = pvhEntry(in: note.source) { return .pvh(address) }
        }
        return .long(try field(24, UInt64.self))
    }

    /// Looks through notes: each has name and contents, padded to four bytes.
    private func pvhEntry(in notes: Range<Int>) -> UInt32? {
        var offset = notes.lowerBound
        while offset + 12 <= notes.upperBound {
            guard let nameSize = image.number(at: offset, as: UInt32.self),
                let size = image.number(at: offset + 4, as: UInt32.self),
                let kind = image.number(at: offset + 8, as: UInt32.self)
            else { return nil }
            let contents = offset + 12 + Self.padded(nameSize)
            if kind == Self.entryNote, nameSize == 4, size == 4 || size == 8,
                image.number(at: offset + 12) == UInt32(0x006E_6558)  // "Xen"
            {
                return image.number(at: contents, as: UInt32.self)
            }
            offset = contents + Self.padded(size)
        }
        return nil
    }

    private static func padded(_ size: UInt32) -> Int { (Int(size) + 3) & ~3 }

    private func address(of entry: KernelImage.Entry) -> UInt64 {
        switch entry {
        case .long(let address): address
        case .pvh(let address): UInt64(address)
        }
    }

    private func field<Value: FixedWidthInteger & UnsignedInteger>(
        _ offset: Int,
        _ type: Value.Type
    ) throws(BootDefect) -> Value {
        guard let value = image.number(at: offset, as: type) else {
            throw .elf("it ends after \(image.count) bytes, within its headers")
        }
        return value
    }
}
