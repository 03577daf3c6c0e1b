// SPDX-License-Identifier: Apache-2.0

internal import CLZ4
package import GuestMemory

/// Builds one frame of pages after another, in buffers allocated once.
///
/// Not for sharing: each sending thread owns one.
@safe package struct PageBatch: ~Copyable {
    private let head: UnsafeMutableRawBufferPointer
    private let payload: UnsafeMutableRawBufferPointer

    /// Pages in the frame being built, at most ``WireLimits/entriesPerFrame``.
    package private(set) var pageCount = 0
    private var payloadByteCount = 0

    /// Allocates the buffers for the largest frame.
    package init() {
        let headByteCount =
            FrameHeader.byteCount + WireLimits.entriesPerFrame * PageEntry.byteCount
        unsafe head = .allocate(byteCount: headByteCount, alignment: 16)
        unsafe payload = .allocate(byteCount: WireLimits.payloadByteCount, alignment: 16)
    }

    deinit {
        unsafe head.deallocate()
        unsafe payload.deallocate()
    }

    /// Starts a frame anew.
    package mutating func begin() {
        pageCount = 0
        payloadByteCount = 0
    }

    /// Adds a page: nothing when it is zero, LZ4 where that is wanted and smaller, as it is otherwise.
    ///
    /// - Parameters:
    ///   - page: Its number.
    ///   - contents: Its 4096 bytes, which must not change meanwhile.
    ///   - isCompressed: Whether to try LZ4, which takes longer than a fast lane takes for what it
    ///     saves.
    /// - Returns: How it will travel.
    @discardableResult
    package mutating func append(
        _ page: PageIndex,
        contents: UnsafeRawBufferPointer,
        isCompressed: Bool = true
    ) -> PageEncoding {
        precondition(contents.count == GuestPage.byteCount)
        precondition(pageCount < WireLimits.entriesPerFrame, "frame is full")
        let (encoding, byteCount) = unsafe encode(contents, isCompressed)
        let entry = PageEntry(page: page, encoding: encoding, payloadByteCount: byteCount)
        unsafe entry.write(pageCount, to: .init(rebasing: head[FrameHeader.byteCount...]))
        pageCount += 1
        payloadByteCount += byteCount
        return encoding
    }

    /// Hands the finished frame to a sender.
    ///
    /// - Parameters:
    ///   - sequence: Number of the frame on its lane.
    ///   - token: The mark of the request it answers, or zero.
    ///   - servedNanoseconds: When the answer was made, or zero.
    ///   - send: Gets header with entries, and payload; valid only during the call.
    /// - Returns: Bytes of the frame.
    /// - Throws: What `send` throws.
    @discardableResult
    package func finish<Failure: Error>(
        sequence: UInt64,
        token: UInt64 = 0,
        servedNanoseconds: UInt64 = 0,
        send: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) -> Int {
        let header = FrameHeader(
            kind: .pages,
            entryCount: pageCount,
            payloadByteCount: payloadByteCount,
            sequence: sequence,
            token: token,
            servedNanoseconds: servedNanoseconds
        )
        unsafe header.write(to: .init(rebasing: head[..<FrameHeader.byteCount]))
        let headByteCount = FrameHeader.byteCount + pageCount * PageEntry.byteCount
        try unsafe send(
            UnsafeRawBufferPointer(rebasing: head[..<headByteCount]),
            UnsafeRawBufferPointer(rebasing: payload[..<payloadByteCount])
        )
        return headByteCount + payloadByteCount
    }

    private func encode(
        _ contents: UnsafeRawBufferPointer,
        _ isCompressed: Bool
    ) -> (PageEncoding, Int) {
        if unsafe isZero(contents) { return (.zero, 0) }
        let room = unsafe UnsafeMutableRawBufferPointer(rebasing: payload[payloadByteCount...])
        if isCompressed {
            // One byte less than a page: what does not shrink travels as it is.
            let compressed = unsafe LZ4_compress_default(
                contents.baseAddress?.assumingMemoryBound(to: CChar.self),
                room.baseAddress?.assumingMemoryBound(to: CChar.self),
                CInt(GuestPage.byteCount),
                CInt(GuestPage.byteCount - 1)
            )
            if compressed > 0 { return (.lz4, Int(compressed)) }
        }
        unsafe room.copyMemory(from: contents)
        return (.raw, GuestPage.byteCount)
    }
}

/// Whether all bytes of a page are zero.
///
/// Cost: about 50 ns for a page that is.
///
///
/// - Returns: Whether they are.
/// - Parameter contents: Its 4096 bytes, 8-byte aligned.
package func isZero(_ contents: UnsafeRawBufferPointer) -> Bool {
    let words = unsafe contents.assumingMemoryBound(to: UInt64.self)
    var index = 0
    while index < words.count {
        let four = unsafe words[index] | words[index + 1] | words[index + 2] | words[index + 3]
        if four != 0 { return false }
        index += 4
    }
    return true
}
