// SPDX-License-Identifier: Apache-2.0

internal import CLZ4
internal import GuestMemory

/// A received frame of pages whose entries have all been checked.
///
/// A view of a receive buffer: valid until the next frame is read.
@unsafe package struct PageFrame {
    /// The frame's header.
    package let header: FrameHeader
    private let entries: UnsafeRawBufferPointer
    private let payload: UnsafeRawBufferPointer
    private let guestPageCount: Int

    /// Checks every entry, and that they account for the payload to the byte.
    ///
    /// - Parameters:
    ///   - header: A header of kind `pages`.
    ///   - body: What followed it, `header.bodyByteCount` bytes that nobody else can change.
    ///   - guestPageCount: Pages that the guest has.
    /// - Throws: The ``FrameDefect`` that was found first.
    package init(
        header: FrameHeader,
        body: UnsafeRawBufferPointer,
        guestPageCount: Int
    ) throws(FrameDefect) {
        precondition(header.kind == .pages && body.count == header.bodyByteCount)
        var total = 0
        for index in 0..<header.entryCount {
            let entry = unsafe try PageEntry(index, of: body, pageCount: guestPageCount)
            total += entry.payloadByteCount
        }
        guard total == header.payloadByteCount else {
            throw .payload(found: UInt64(header.payloadByteCount), expected: UInt64(total))
        }
        unsafe self.header = header
        let split = header.entryCount * PageEntry.byteCount
        unsafe entries = UnsafeRawBufferPointer(rebasing: body[..<split])
        unsafe payload = UnsafeRawBufferPointer(rebasing: body[split...])
        unsafe self.guestPageCount = guestPageCount
    }

    /// Entry `index`, which has been checked before.
    package func entry(_ index: Int) throws(FrameDefect) -> PageEntry {
        unsafe try PageEntry(index, of: entries, pageCount: guestPageCount)
    }

    /// Bytes of an entry's contents.
    ///
    /// - Parameters:
    ///   - entry: One of this frame's.
    ///   - offset: Sum of the payload bytes of the entries before it.
    /// - Returns: The bytes, in the receive buffer.
    package func contents(of entry: PageEntry, at offset: Int) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(
            rebasing: payload[offset..<offset + entry.payloadByteCount]
        )
    }
}

extension PageEntry {
    /// Unpacks a page.
    ///
    /// - Parameters:
    ///   - contents: The entry's bytes, `payloadByteCount` of them.
    ///   - page: Where the 4096 bytes go; on failure they are undefined.
    /// - Throws: The ``FrameDefect`` that was found first.
    package func decode(
        _ contents: UnsafeRawBufferPointer,
        into page: UnsafeMutableRawBufferPointer
    ) throws(FrameDefect) {
        precondition(page.count == GuestPage.byteCount)
        precondition(contents.count == payloadByteCount)
        switch encoding {
        case .zero:
            unsafe page.initializeMemory(as: UInt8.self, repeating: 0)
        case .raw:
            unsafe page.copyMemory(from: contents)
        case .lz4:
            let count = unsafe LZ4_decompress_safe(
                contents.baseAddress?.assumingMemoryBound(to: CChar.self),
                page.baseAddress?.assumingMemoryBound(to: CChar.self),
                CInt(contents.count),
                CInt(GuestPage.byteCount)
            )
            guard count == GuestPage.byteCount else {
                throw .compressedPage(page: UInt64(self.page.rawValue))
            }
        }
    }
}
