// SPDX-License-Identifier: Apache-2.0

package import MigrationWire

/// A frame in the receive buffer: valid until the next one is read.
@unsafe package struct Frame {
    /// The checked header.
    package let header: FrameHeader
    /// What followed it, `header.bodyByteCount` bytes.
    package let body: UnsafeRawBufferPointer
    /// Bytes received on the lane before this frame.
    package let offset: UInt64
}

/// Cuts the bytes of a page lane into frames.
///
/// Owned by the thread that receives; allocates its buffer once.
@safe package struct FrameReader: ~Copyable {
    /// The lane that is read.
    package let lane: any Lane
    private let buffer: UnsafeMutableRawBufferPointer
    private var start = 0
    private var end = 0
    private var sequence: UInt64 = 0

    /// Bytes taken from the lane so far, as whole frames.
    package private(set) var offset: UInt64 = 0

    /// - Parameter lane: A page lane, open.
    package init(_ lane: any Lane) {
        self.lane = lane
        // Room for one largest frame and as much again, so that bytes are seldom moved.
        unsafe buffer = .allocate(byteCount: 2 * WireLimits.frameByteCount, alignment: 16)
    }

    deinit {
        unsafe buffer.deallocate()
    }

    /// Waits for the next frame.
    ///
    /// - Throws: `closed` at the end of the lane, `violation` for a malformed header.
    package mutating func next() throws(LaneError) -> Frame {
        try fill(FrameHeader.byteCount)
        let header: FrameHeader
        do {
            header = try unsafe FrameHeader(
                parsing: .init(rebasing: buffer[start..<start + FrameHeader.byteCount]),
                expecting: sequence
            )
        } catch {
            throw .violation(lane.name, offset: offset, error)
        }
        let frameByteCount = FrameHeader.byteCount + header.bodyByteCount
        try fill(frameByteCount)
        let body = unsafe UnsafeRawBufferPointer(
            rebasing: buffer[start + FrameHeader.byteCount..<start + frameByteCount]
        )
        let frame = unsafe Frame(header: header, body: body, offset: offset)
        start += frameByteCount
        offset += UInt64(frameByteCount)
        sequence += 1
        return unsafe frame
    }

    /// The error for a frame whose body is wrong.
    package func violation(_ defect: FrameDefect, in frame: borrowing Frame) -> LaneError {
        .violation(lane.name, offset: unsafe frame.offset, defect)
    }

    /// Receives until `byteCount` bytes lie behind `start`.
    private mutating func fill(_ byteCount: Int) throws(LaneError) {
        if start == end {
            start = 0
            end = 0
        } else if unsafe buffer.count - start < byteCount {
            unsafe buffer.copyMemory(from: .init(rebasing: buffer[start..<end]))
            end -= start
            start = 0
        }
        while end - start < byteCount {
            let room = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[end...])
            end += unsafe try lane.receive(into: room)
        }
    }
}
