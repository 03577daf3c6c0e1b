// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import MigrationSource
internal import MigrationWire

/// Frames of pages as they come from a lane, made before time is taken.
///
/// There are a few, which are used again and again with other page numbers; for one thread.
@safe final class ReadyFrames {
    /// Pages of a frame, as the background stream makes them.
    static let pagesPerFrame = StreamPace.batchPages
    /// More than the caches of a processor core hold.
    private static let frameCount = 256

    let pattern: PagePattern
    private let bytes: Mapping
    private var headers: [FrameHeader] = []

    /// Pages until contents repeat.
    var pageCount: Int { Self.frameCount * Self.pagesPerFrame }

    private static let stride =
        pagesPerFrame * (GuestPage.byteCount + PageEntry.byteCount)

    /// Makes them.
    init(of pattern: PagePattern) throws {
        self.pattern = pattern
        let pages = (Self.frameCount * Self.stride + GuestPage.byteCount - 1) / GuestPage.byteCount
        bytes = try Mapping(.anonymous, byteCount: pages * GuestPage.byteCount)
        let page = try Mapping(.anonymous, byteCount: GuestPage.byteCount)
        let contents = unsafe UnsafeMutableRawBufferPointer(
            start: page.base,
            count: page.byteCount
        )
        var batch = PageBatch()
        for frame in 0..<Self.frameCount {
            batch.begin()
            for index in 0..<Self.pagesPerFrame {
                let page = PageIndex(frame * Self.pagesPerFrame + index)
                unsafe pattern.fill(contents, of: page)
                unsafe batch.append(page, contents: UnsafeRawBufferPointer(contents))
            }
            let target = unsafe bytes.base + frame * Self.stride
            let header = unsafe batch.finish(sequence: 0) { head, payload in
                let entries = unsafe UnsafeRawBufferPointer(
                    rebasing: head[FrameHeader.byteCount...]
                )
                unsafe UnsafeMutableRawBufferPointer(start: target, count: entries.count)
                    .copyMemory(from: entries)
                unsafe UnsafeMutableRawBufferPointer(
                    start: target + entries.count,
                    count: payload.count
                ).copyMemory(from: payload)
            }
            headers.append(
                FrameHeader(
                    kind: .pages,
                    entryCount: Self.pagesPerFrame,
                    payloadByteCount: header - FrameHeader.byteCount
                        - Self.pagesPerFrame * PageEntry.byteCount,
                    sequence: 0
                )
            )
        }
    }

    /// The frame for a run of pages, checked as if it had come from a lane.
    ///
    /// - Parameters:
    ///   - number: Of the run, among runs of ``pagesPerFrame`` pages.
    ///   - pageCount: Pages that the guest has.
    /// - Returns: A view, valid until the next call.
    /// - Throws: ``FrameDefect`` for pages that the guest does not have.
    @unsafe func frame(_ number: Int, pageCount: Int) throws(FrameDefect) -> PageFrame {
        let slot = number % Self.frameCount
        let start = unsafe bytes.base + slot * Self.stride
        let header = headers[slot]
        for index in 0..<Self.pagesPerFrame {
            // An entry begins with its page.
            let page = UInt64(number * Self.pagesPerFrame + index)
            unsafe start.storeBytes(
                of: page.littleEndian,
                toByteOffset: index * PageEntry.byteCount,
                as: UInt64.self
            )
        }
        let body = unsafe UnsafeRawBufferPointer(start: start, count: header.bodyByteCount)
        return unsafe try PageFrame(header: header, body: body, guestPageCount: pageCount)
    }
}
