// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import MigrationWire
internal import Transport

/// Pages in one frame of the stream: 64 KiB of guest memory.
private let pagesPerFrame = 16

/// How often the stream lets others run before it goes on beside a request that takes long.
private let mostYields = 100

/// Sends every page that has not been sent, on one bulk lane; the body of a thread.
///
/// Waits until the stream may run. Goes on from the neighbourhood of the last request, and lets
/// the urgent servers go first.
func streamMemory(_ memory: OutgoingMemory, on lane: any Lane) {
    guard memory.awaitStream() else { return }
    do {
        try stream(memory, on: lane)
    } catch {
        memory.failure.report(.lane(error))
    }
}

private func stream(_ memory: OutgoingMemory, on lane: any Lane) throws(LaneError) {
    var batch = PageBatch()
    var sequence: UInt64 = 0
    var cursor = PageIndex(0)
    var neighbourhood: PageIndex?
    while memory.isStreaming {
        yieldToRequests(memory)
        if memory.neighbourhood != neighbourhood, let page = memory.neighbourhood {
            neighbourhood = page
            cursor = page
        }
        guard let run = memory.takeRun(from: cursor, mostPages: pagesPerFrame) else {
            try sendEnd(sequence: sequence, on: lane)
            return
        }
        cursor = PageIndex((run.first.rawValue + run.count) % memory.ram.layout.pageCount)
        var digest = PageDigest()
        batch.begin()
        for number in run.first.rawValue..<run.first.rawValue + run.count {
            let page = PageIndex(number)
            let contents = unsafe UnsafeRawBufferPointer(
                memory.ram.bytes(of: PageRange(first: page, count: 1))
            )
            unsafe digest.add(page, contents: contents)
            unsafe batch.append(page, contents: contents)
        }
        memory.count(digest, firstTime: run.count, pages: run.count)
        let byteCount = unsafe try batch.finish(
            sequence: sequence
        ) { header, payload throws(LaneError) in
            unsafe try lane.send(header, payload)
        }
        sequence += 1
        memory.countWire(byteCount: byteCount)
    }
}

private func yieldToRequests(_ memory: OutgoingMemory) {
    var yields = 0
    while memory.requestsOutstanding > 0 && yields < mostYields {
        yieldProcessor()
        yields += 1
    }
}

private func sendEnd(sequence: UInt64, on lane: any Lane) throws(LaneError) {
    let header = FrameHeader(
        kind: .endOfStream,
        entryCount: 0,
        payloadByteCount: 0,
        sequence: sequence
    )
    var bytes = InlineArray<32, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    unsafe try span.withUnsafeMutableBytes { buffer throws(LaneError) in
        unsafe header.write(to: buffer)
        unsafe try lane.send(UnsafeRawBufferPointer(buffer), .init(start: nil, count: 0))
    }
}
