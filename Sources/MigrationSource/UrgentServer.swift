// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import MigrationWire
internal import Transport

/// Answers the requests of one urgent lane until the lane ends; the body of a thread.
///
/// A page that has been sent before is sent again: an answer may be repeated, never missing.
///
/// - Parameters:
///   - lane: Where requests come in.
///   - index: The lane's number among the urgent ones.
///   - memory: Where pages come from.
func serveUrgentLane(_ lane: any Lane, index: Int, of memory: OutgoingMemory) {
    do {
        try answerRequests(on: lane, index, from: memory)
    } catch {
        memory.failure.report(.lane(error))
    }
}

private func answerRequests(
    on lane: any Lane,
    _ index: Int,
    from memory: OutgoingMemory
) throws(LaneError) -> Never {
    var reader = FrameReader(lane)
    var batch = PageBatch()
    var sequence: UInt64 = 0
    let pageCount = memory.ram.layout.pageCount
    var detector = StrideDetector(mostPages: memory.prefetchPages, pageCount: pageCount)
    var window: PrefetchWindow?
    while true {
        let frame = unsafe try reader.next()
        let header = unsafe frame.header
        guard header.kind == .requests else {
            throw unsafe reader.violation(.kind(header.kind.rawValue), in: frame)
        }
        guard memory.isOpenForRequests else {
            throw unsafe reader.violation(
                .unexpectedMessage("requests", expected: "the saved state first"),
                in: frame
            )
        }
        var digest = PageDigest()
        var firstTime = 0
        batch.begin()
        for index in 0..<header.entryCount {
            let request: RequestEntry
            do {
                request = unsafe try RequestEntry(index, of: frame.body, pageCount: pageCount)
            } catch {
                throw unsafe reader.violation(error, in: frame)
            }
            if index == 0 { memory.beginAnswer(near: request.page) }
            let contents = unsafe UnsafeRawBufferPointer(
                memory.ram.bytes(of: PageRange(first: request.page, count: 1))
            )
            if memory.take(request.page) {
                unsafe digest.add(request.page, contents: contents)
                firstTime += 1
            }
            unsafe batch.append(request.page, contents: contents)
            window = detector.observe(request.page) ?? window
        }
        memory.count(digest, firstTime: firstTime, pages: header.entryCount)
        let byteCount = unsafe try batch.finish(
            sequence: sequence,
            token: header.token,
            servedNanoseconds: MonotonicTime.now.nanoseconds
        ) { header, payload throws(LaneError) in
            unsafe try lane.send(header, payload)
        }
        sequence += 1
        memory.countWire(byteCount: byteCount)
        memory.endAnswer()
        // Behind the answer, which waits for nothing.
        if let next = window {
            memory.sendUnasked(next, from: index)
            window = nil
        }
    }
}
