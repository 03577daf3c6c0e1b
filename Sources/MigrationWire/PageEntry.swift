// SPDX-License-Identifier: Apache-2.0

package import GuestMemory

/// How a page's contents travel.
package enum PageEncoding: UInt8, CaseIterable, Sendable {
    /// All zero: no bytes at all.
    case zero = 0
    /// As they are: 4096 bytes.
    case raw = 1
    /// One LZ4 block of 1 to 4095 bytes.
    case lz4 = 2
}

/// One page; 16 bytes behind a frame header of kind `pages`, its contents behind all entries.
///
/// Layout (PROTOCOL.md, "Frames"), little-endian: page u64 · byte count u32 · encoding u8 ·
/// reserved 3.
package struct PageEntry: Equatable, Sendable {
    /// Bytes of an entry.
    package static let byteCount = 16

    /// The page.
    package let page: PageIndex
    /// How its contents travel.
    package let encoding: PageEncoding
    /// Bytes its contents take in the payload.
    package let payloadByteCount: Int

    /// - Parameters:
    ///   - page: The page.
    ///   - encoding: How its contents travel.
    ///   - payloadByteCount: Bytes in the payload.
    package init(page: PageIndex, encoding: PageEncoding, payloadByteCount: Int) {
        self.page = page
        self.encoding = encoding
        self.payloadByteCount = payloadByteCount
    }

    /// Checks and reads entry `index` of a frame's body.
    ///
    /// - Parameters:
    ///   - index: Below the header's `entryCount`.
    ///   - body: The frame behind its header.
    ///   - pageCount: Pages that the guest has.
    /// - Throws: The ``FrameDefect`` that was found first.
    package init(
        _ index: Int,
        of body: UnsafeRawBufferPointer,
        pageCount: Int
    ) throws(FrameDefect) {
        let start = index * Self.byteCount
        let number = unsafe body.little(UInt64.self, at: start)
        guard number < UInt64(pageCount) else { throw .page(number) }
        let byteCount = unsafe body.little(UInt32.self, at: start + 8)
        let raw = unsafe body[start + 12]
        guard let encoding = PageEncoding(rawValue: raw) else {
            throw .encoding(page: number, found: raw)
        }
        guard unsafe body.little(UInt32.self, at: start + 12) >> 8 == 0 else {
            throw .reservedBits
        }
        let isPossible =
            switch encoding {
            case .zero: byteCount == 0
            case .raw: byteCount == UInt32(GuestPage.byteCount)
            case .lz4: byteCount > 0 && byteCount < UInt32(GuestPage.byteCount)
            }
        guard isPossible else { throw .pageByteCount(page: number, found: byteCount) }
        page = PageIndex(Int(number))
        self.encoding = encoding
        payloadByteCount = Int(byteCount)
    }

    /// Writes the 16 bytes of entry `index` into a frame's body.
    package func write(_ index: Int, to body: UnsafeMutableRawBufferPointer) {
        let start = index * Self.byteCount
        unsafe body.store(little: UInt64(page.rawValue), at: start)
        unsafe body.store(little: UInt32(payloadByteCount), at: start + 8)
        unsafe body.store(little: UInt32(encoding.rawValue), at: start + 12)
    }
}
