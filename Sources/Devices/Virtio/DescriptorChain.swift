// SPDX-License-Identifier: Apache-2.0

/// The buffers of one request: first those for the device to read, then those for it to write.
///
/// All of them were guest memory when the chain was taken.
package struct DescriptorChain: Equatable, Sendable {
    /// By which the request is given back.
    let head: UInt16
    private(set) var readable: [GuestRange] = []
    private(set) var writable: [GuestRange] = []

    /// Bytes for the device to read.
    private(set) var readableCount = 0
    /// Bytes for the device to write.
    private(set) var writableCount = 0

    init(head: UInt16) {
        self.head = head
    }

    mutating func append(_ range: GuestRange, isWritable: Bool) throws(VirtioDefect) {
        if isWritable {
            writable.append(range)
            writableCount += range.byteCount
        } else {
            guard writable.isEmpty else { throw .bufferOrder }
            readable.append(range)
            readableCount += range.byteCount
        }
    }

    /// Copies out what the driver has written.
    ///
    /// - Parameters:
    ///   - start: First byte, counted through all buffers.
    ///   - count: Bytes.
    ///   - memory: Guest memory.
    /// - Returns: All of them.
    /// - Throws: Where there are not so many: the request is none.
    func read(
        from start: Int,
        count: Int,
        in memory: some DeviceMemory
    ) throws(VirtioDefect) -> [UInt8] {
        guard start >= 0, count >= 0, start <= readableCount - count else {
            throw .request("\(readableCount) bytes to read are too few")
        }
        var bytes = [UInt8](repeating: 0, count: count)
        for piece in Self.pieces(of: readable, from: start, count: count) {
            try memory.read(piece.range, into: &bytes, at: piece.offset)
        }
        return bytes
    }

    /// Copies bytes in for the driver to read.
    ///
    /// - Parameters:
    ///   - bytes: All that go in.
    ///   - start: First byte, counted through all buffers.
    ///   - memory: Guest memory.
    /// - Throws: Where there is too little room: the request is none.
    func write(
        _ bytes: ArraySlice<UInt8>,
        at start: Int,
        in memory: some DeviceMemory
    ) throws(VirtioDefect) {
        guard start >= 0, start <= writableCount - bytes.count else {
            throw .request("\(writableCount) bytes to write are too few")
        }
        for piece in Self.pieces(of: writable, from: start, count: bytes.count) {
            let first = bytes.startIndex + piece.offset
            try memory.write(
                bytes[first..<first + piece.range.byteCount],
                at: piece.range.address
            )
        }
    }

    /// The parts of buffers that some bytes lie in, each with its place among those bytes.
    private static func pieces(
        of buffers: [GuestRange],
        from start: Int,
        count: Int
    ) -> [(range: GuestRange, offset: Int)] {
        var pieces: [(range: GuestRange, offset: Int)] = []
        var skip = start
        var done = 0
        for buffer in buffers where done < count {
            guard skip < buffer.byteCount else {
                skip -= buffer.byteCount
                continue
            }
            let length = min(buffer.byteCount - skip, count - done)
            // The buffer lies in guest memory, so its addresses do not wrap.
            pieces.append((GuestRange(buffer.address &+ UInt64(skip), length), done))
            done += length
            skip = 0
        }
        return pieces
    }
}
