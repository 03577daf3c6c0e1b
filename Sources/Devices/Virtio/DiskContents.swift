// SPDX-License-Identifier: Apache-2.0

/// What a disk keeps its bytes in.
///
/// For one thread at a time.
package protocol DiskContents: Sendable {
    /// Fills all of a buffer.
    ///
    /// - Returns: Whether it could; the buffer may have changed if not.
    func read(into bytes: inout [UInt8], at offset: UInt64) -> Bool

    /// Writes all of some bytes.
    ///
    /// - Returns: Whether it could; some of them may have been written if not.
    func write(_ bytes: [UInt8], at offset: UInt64) -> Bool

    /// Makes durable what has been written.
    ///
    /// - Returns: Whether it is.
    func flush() -> Bool
}

/// What a guest sees of a disk, and so what is the same wherever it goes.
package struct DiskShape: Equatable, Sendable {
    /// Size; whole blocks.
    package let byteCount: UInt64
    /// Bytes of a block, the least that is read or written: 512 or 4096.
    package let blockByteCount: UInt32
    /// Whether it cannot be written.
    package let isReadOnly: Bool

    /// - Parameters:
    ///   - byteCount: Size; whole blocks.
    ///   - blockByteCount: Bytes of a block: 512 or 4096.
    ///   - isReadOnly: Whether it cannot be written.
    package init(byteCount: UInt64, blockByteCount: UInt32, isReadOnly: Bool) {
        self.byteCount = byteCount
        self.blockByteCount = blockByteCount
        self.isReadOnly = isReadOnly
    }
}
