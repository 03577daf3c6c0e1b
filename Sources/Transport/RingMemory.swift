// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem
package import MigrationWire

/// The memory that the two ends of a ring lane share (PROTOCOL.md, "Ring lanes").
package final class RingMemory: Sendable {
    /// Sizes of the two rings.
    package let shape: RingShape
    /// The bytes, for as long as this object lives.
    private let mapping: Mapping

    /// Maps it.
    ///
    /// - Parameters:
    ///   - file: Of the shape's size, which nobody can change.
    ///   - shape: Sizes of the two rings; what the memory itself says is never asked.
    /// - Throws: ``SystemError`` of mmap(2) or madvise(2).
    package init(_ file: borrowing MemoryFile, shape: RingShape) throws(SystemError) {
        precondition(file.byteCount == shape.byteCount)
        let fd = file.descriptor.rawValue
        self.shape = shape
        mapping = try Mapping(.shared(fd), byteCount: shape.byteCount)
        // The first pages of a migration are not to wait for page faults here.
        try mapping.populate(offset: 0, byteCount: shape.byteCount)
    }

    /// The file for a shape: zeroes, which is what empty rings look like.
    package static func file(for shape: RingShape) throws(SystemError) -> MemoryFile {
        try MemoryFile(name: "apus-ring", byteCount: shape.byteCount)
    }

    /// The ring that a side writes.
    func ring(from side: RingSide) -> ByteRing {
        let start = RingShape.headByteCount
        return switch side {
        case .destination:
            unsafe ByteRing(
                words: mapping.base,
                bytes: mapping.base + start,
                byteCount: shape.toSourceByteCount
            )
        case .source:
            unsafe ByteRing(
                words: mapping.base + ByteRing.wordsByteCount,
                bytes: mapping.base + start + shape.toSourceByteCount,
                byteCount: shape.toDestinationByteCount
            )
        }
    }
}
