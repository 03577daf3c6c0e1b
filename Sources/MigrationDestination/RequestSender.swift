// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import MigrationWire
internal import Transport

/// Builds and sends request frames on one urgent lane.
///
/// Owned by one thread; allocates its frame once.
@safe struct RequestSender: ~Copyable {
    /// The lane that requests go out on.
    let lane: any Lane
    private let memory: IncomingMemory
    private let frame: UnsafeMutableRawBufferPointer
    private let capacity: Int
    private var sequence: UInt64 = 0
    private var count = 0

    /// - Parameters:
    ///   - memory: Where requests are counted.
    ///   - lane: The lane that requests go out on.
    ///   - capacity: Most requests in one frame, 1 to ``WireLimits/entriesPerFrame``.
    init(_ memory: IncomingMemory, on lane: any Lane, capacity: Int) {
        self.memory = memory
        self.lane = lane
        self.capacity = capacity
        let byteCount = FrameHeader.byteCount + capacity * RequestEntry.byteCount
        unsafe frame = .allocate(byteCount: byteCount, alignment: 16)
    }

    deinit {
        unsafe frame.deallocate()
    }

    /// Adds a page to the frame being built.
    mutating func add(_ page: PageIndex, _ requestClass: RequestClass) {
        precondition(count < capacity, "frame is full")
        let body = unsafe UnsafeMutableRawBufferPointer(rebasing: frame[FrameHeader.byteCount...])
        unsafe RequestEntry(page: page, requestClass: requestClass).write(count, to: body)
        count += 1
    }

    /// Sends the frame, if anything is in it.
    ///
    /// - Parameter instant: When the faults were seen; comes back with the answer.
    /// - Throws: ``LaneError`` when the lane has ended.
    mutating func send(seen instant: MonotonicTime) throws(MigrationError) {
        guard count > 0 else { return }
        let header = FrameHeader(
            kind: .requests,
            entryCount: count,
            payloadByteCount: 0,
            sequence: sequence,
            token: instant.nanoseconds
        )
        unsafe header.write(to: .init(rebasing: frame[..<FrameHeader.byteCount]))
        let byteCount = FrameHeader.byteCount + count * RequestEntry.byteCount
        memory.countRequests(count, at: instant)
        count = 0
        sequence += 1
        do {
            unsafe try lane.send(
                UnsafeRawBufferPointer(rebasing: frame[..<byteCount]),
                UnsafeRawBufferPointer(start: nil, count: 0)
            )
        } catch {
            throw .lane(error)
        }
    }
}
