// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import MigrationWire
internal import Transport
internal import Userfault

/// Events taken by one read, and so requests in one frame.
private let eventsPerRead = 16

/// Turns touches of absent pages into requests on one urgent lane; the body of a thread.
///
/// - Parameters:
///   - memory: Where pages are missing.
///   - lane: Where requests go out.
///   - counts: Who touched them.
///   - isVCPU: Whether a task, by the kernel's number, is one of the guest's vCPUs.
func readFaults(
    into memory: IncomingMemory,
    requestingOn lane: any Lane,
    counts: FaultSources,
    isVCPU: @Sendable (CInt) -> Bool
) {
    var reader = FaultRequester(memory, lane)
    do {
        while try waitForFaults(memory) {
            try reader.handleEvents(counts, isVCPU)
        }
    } catch let error as LaneError {
        memory.failure.report(.lane(error))
    } catch let error as SystemError {
        memory.failure.report(.system(error))
    } catch {
        memory.failure.report(.machine("\(error)"))
    }
}

/// False when the fault readers are to end.
private func waitForFaults(_ memory: IncomingMemory) throws(SystemError) -> Bool {
    let descriptors: [2 of CInt] = [
        memory.userfault.rawDescriptor, memory.stopReaders.rawDescriptor,
    ]
    return !(try waitUntilReadable(descriptors, timeout: nil))[1]
}

/// The working state of one fault reader.
@safe private struct FaultRequester: ~Copyable {
    private let memory: IncomingMemory
    private let lane: any Lane
    private var batch = FaultBatch(capacity: eventsPerRead)
    private let frame: UnsafeMutableRawBufferPointer
    private var sequence: UInt64 = 0

    init(_ memory: IncomingMemory, _ lane: any Lane) {
        self.memory = memory
        self.lane = lane
        let byteCount = FrameHeader.byteCount + eventsPerRead * RequestEntry.byteCount
        unsafe frame = .allocate(byteCount: byteCount, alignment: 16)
    }

    deinit {
        unsafe frame.deallocate()
    }

    mutating func handleEvents(
        _ counts: FaultSources,
        _ isVCPU: (CInt) -> Bool
    ) throws {
        try memory.userfault.read(into: &batch)
        let now = MonotonicTime.now
        var requests = 0
        for index in 0..<batch.count {
            guard let event = batch[index],
                let page = memory.ram.page(atHostAddress: event.address)
            else { continue }
            let waiter = isVCPU(event.threadID) ? RequestClass.vCPU : .kernelOrDevice
            counts.count(waiter)
            switch memory.pages.markRequested(page) {
            case .absent:
                let request = RequestEntry(page: page, requestClass: waiter)
                let body = unsafe UnsafeMutableRawBufferPointer(
                    rebasing: frame[FrameHeader.byteCount...]
                )
                unsafe request.write(requests, to: body)
                requests += 1
            case .requested, .arriving:
                // Whoever installs the page wakes all that wait for it.
                break
            case .installed:
                let range = PageRange(first: page, count: 1)
                try memory.userfault.wake(
                    address: memory.address(of: range),
                    byteCount: GuestPage.byteCount
                )
            }
        }
        if requests > 0 { try send(requests, seen: now) }
    }

    private mutating func send(_ requests: Int, seen: MonotonicTime) throws(LaneError) {
        let header = FrameHeader(
            kind: .requests,
            entryCount: requests,
            payloadByteCount: 0,
            sequence: sequence,
            token: seen.nanoseconds
        )
        unsafe header.write(to: .init(rebasing: frame[..<FrameHeader.byteCount]))
        let byteCount = FrameHeader.byteCount + requests * RequestEntry.byteCount
        memory.countRequests(requests, at: seen)
        sequence += 1
        unsafe try lane.send(
            UnsafeRawBufferPointer(rebasing: frame[..<byteCount]),
            UnsafeRawBufferPointer(start: nil, count: 0)
        )
    }
}
