// SPDX-License-Identifier: Apache-2.0

internal import LinuxSystem
internal import MigrationWire

/// One ring of bytes in shared memory: one side writes, the other reads.
///
/// Cursors count bytes modulo 2^32. The other side is not trusted: each side keeps its own cursor
/// to itself and only publishes it, and what it reads of the other's is checked by its users.
@safe struct ByteRing: @unchecked Sendable {
    // Sendable: addresses and a size that never change. The cursors say whose a byte is.

    /// Bytes that the words of one ring take in the head.
    static let wordsByteCount = 4 * RingShape.wordStride

    /// Bytes written so far; set by the writer.
    let written: SharedWord
    /// Bytes read so far; set by the reader.
    let read: SharedWord
    /// 1 while the writer sleeps on it for room; cleared by whoever wakes it.
    let writerSleeps: SharedWord
    /// 1 while the reader sleeps on it for bytes; cleared by whoever wakes it.
    let readerSleeps: SharedWord
    /// A power of two.
    let byteCount: UInt32
    private let bytes: UnsafeMutableRawPointer

    /// - Parameters:
    ///   - words: ``wordsByteCount`` bytes for the words.
    ///   - bytes: The ring's own bytes; like the words they outlive this value.
    ///   - byteCount: How many, a power of two.
    init(words: UnsafeMutableRawPointer, bytes: UnsafeMutableRawPointer, byteCount: Int) {
        precondition(byteCount > 0 && byteCount & (byteCount - 1) == 0)
        written = unsafe SharedWord(at: words)
        read = unsafe SharedWord(at: words + RingShape.wordStride)
        writerSleeps = unsafe SharedWord(at: words + 2 * RingShape.wordStride)
        readerSleeps = unsafe SharedWord(at: words + 3 * RingShape.wordStride)
        unsafe self.bytes = bytes
        self.byteCount = UInt32(byteCount)
    }

    /// Copies bytes in behind a cursor, around the end where they reach it.
    ///
    /// - Parameters:
    ///   - source: At most ``byteCount`` bytes.
    ///   - cursor: Where the first belongs.
    func copyIn(_ source: UnsafeRawBufferPointer, at cursor: UInt32) {
        precondition(source.count <= Int(byteCount))
        guard let start = source.baseAddress, source.count > 0 else { return }
        let offset = Int(cursor & (byteCount - 1))
        let first = min(source.count, Int(byteCount) - offset)
        unsafe (bytes + offset).copyMemory(from: start, byteCount: first)
        if first < source.count {
            unsafe bytes.copyMemory(from: start + first, byteCount: source.count - first)
        }
    }

    /// Copies bytes out from a cursor on, around the end where they reach it.
    ///
    /// - Parameters:
    ///   - target: At most ``byteCount`` bytes.
    ///   - cursor: Where the first lies.
    func copyOut(into target: UnsafeMutableRawBufferPointer, at cursor: UInt32) {
        precondition(target.count <= Int(byteCount))
        guard let start = target.baseAddress, target.count > 0 else { return }
        let offset = Int(cursor & (byteCount - 1))
        let first = min(target.count, Int(byteCount) - offset)
        unsafe start.copyMemory(from: bytes + offset, byteCount: first)
        if first < target.count {
            unsafe (start + first).copyMemory(from: bytes, byteCount: target.count - first)
        }
    }
}
