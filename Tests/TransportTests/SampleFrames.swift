// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import MigrationWire
import TestSupport

/// Whole frames, one after another, as they stand in a lane.
struct SampleFrames {
    private(set) var bytes: [UInt8] = []
    /// Each frame's header and what follows it.
    private(set) var frames: [ReceivedFrame] = []

    private var sequence: UInt64 { UInt64(frames.count) }

    mutating func appendRequests(_ pages: [Int]) {
        let header = FrameHeader(
            kind: .requests,
            entryCount: pages.count,
            payloadByteCount: 0,
            sequence: sequence,
            token: 77
        )
        var body = [UInt8](repeating: 0, count: pages.count * RequestEntry.byteCount)
        unsafe body.withUnsafeMutableBytes { buffer in
            for (index, page) in pages.enumerated() {
                let entry = RequestEntry(page: PageIndex(page), requestClass: .vCPU)
                unsafe entry.write(index, to: buffer)
            }
        }
        append(header, body)
    }

    mutating func appendPages(_ contents: [[UInt8]]) {
        var batch = PageBatch()
        batch.begin()
        for (page, contents) in contents.enumerated() {
            unsafe contents.withUnsafeBytes { buffer in
                unsafe _ = batch.append(PageIndex(page), contents: buffer)
            }
        }
        var frame: [UInt8] = []
        unsafe batch.finish(sequence: sequence) { head, payload in
            unsafe frame.append(contentsOf: head)
            unsafe frame.append(contentsOf: payload)
        }
        let header = FrameHeader(
            kind: .pages,
            entryCount: contents.count,
            payloadByteCount: frame.count - 32 - 16 * contents.count,
            sequence: sequence
        )
        append(header, Array(frame[32...]))
    }

    mutating func appendEnd() {
        append(
            FrameHeader(kind: .endOfStream, entryCount: 0, payloadByteCount: 0, sequence: sequence),
            []
        )
    }

    private mutating func append(_ header: FrameHeader, _ body: [UInt8]) {
        var head = [UInt8](repeating: 0, count: FrameHeader.byteCount)
        unsafe head.withUnsafeMutableBytes { unsafe header.write(to: $0) }
        frames.append(ReceivedFrame(header: header, body: body, offset: UInt64(bytes.count)))
        bytes += head + body
    }
}

/// What a reader made of a frame.
struct ReceivedFrame: Equatable {
    var header: FrameHeader
    var body: [UInt8]
    var offset: UInt64
}
