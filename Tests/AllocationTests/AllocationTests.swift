// SPDX-License-Identifier: Apache-2.0

import CAllocationCounter
import GuestMemory
import LinuxSystem
import MigrationWire
import TestSupport
import Testing
import Transport

#if DEBUG
    private let isOptimized = false
#else
    private let isOptimized = true
#endif

private let isCounting = callocation_is_counting() == 1

/// Allocations that a body makes on this thread.
private func allocations(_ body: () throws -> Void) rethrows -> Int {
    let before = callocation_count()
    try body()
    return Int(callocation_count() - before)
}

/// Both ends of a lane; the first one sends pages.
private func lanes(
    _ name: LaneName,
    _ carrier: LaneCarrier
) throws -> (near: any Lane, far: any Lane) {
    var memory: RingMemory?
    if carrier == .ring, let shape = RingShape.offered(for: name) {
        memory = try RingMemory(RingMemory.file(for: shape), shape: shape)
    }
    return try SocketPair().take { first, second in
        guard let memory else {
            return (SocketLane(name, over: first), SocketLane(name, over: second))
        }
        return (
            RingLane(name, over: first, memory: memory, as: .source),
            RingLane(name, over: second, memory: memory, as: .destination)
        )
    }
}

/// Counts what 1000 pages cost on the data path after a warm-up; it must be nothing.
@Suite(
    .serialized,
    .enabled(if: isOptimized && isCounting, "counted in release builds without sanitizers")
)
struct AllocationTests {
    private let contents: [[UInt8]] = {
        var random = SeededGenerator(seed: 17)
        return (0..<8).map { PageContents.allCases[$0 % 4].bytes(using: &random) }
    }()

    @Test func `the counter counts`() {
        var kept: [[UInt8]] = []
        kept.reserveCapacity(100)
        let count = allocations {
            for number in 0..<100 { kept.append([UInt8](repeating: UInt8(number), count: 5000)) }
        }
        #expect(count == 100, "\(kept.count)")
        let raw = allocations {
            let memory = UnsafeMutableRawPointer.allocate(byteCount: 100, alignment: 4096)
            unsafe memory.deallocate()
        }
        #expect(raw == 1)
    }

    @Test func `frames of pages are built without allocating`() {
        var batch = PageBatch()
        var byteCount = 0
        func build(frames: Int) {
            for sequence in 0..<frames {
                batch.begin()
                for page in 0..<64 {
                    unsafe contents[page % 8].withUnsafeBytes { bytes in
                        unsafe _ = batch.append(PageIndex(page), contents: bytes)
                    }
                }
                byteCount += unsafe batch.finish(sequence: UInt64(sequence)) { _, _ in }
            }
        }
        build(frames: 2)
        let count = allocations { build(frames: 16) }
        #expect(count == 0, "\(byteCount) bytes")
    }

    @Test(arguments: LaneCarrier.allCases)
    func `frames of pages are read and unpacked without allocating`(
        carrier: LaneCarrier
    ) throws {
        let (near, far) = try lanes(.bulk(0), carrier)
        var batch = PageBatch()
        var reader = FrameReader(far)
        var sequence: UInt64 = 0
        var digest = PageDigest()
        let page = try Mapping(.anonymous, byteCount: GuestPage.byteCount)
        let room = unsafe UnsafeMutableRawBufferPointer(
            start: page.base,
            count: GuestPage.byteCount
        )
        func travel(frames: Int) throws {
            for _ in 0..<frames {
                batch.begin()
                for page in 0..<8 {
                    unsafe contents[page].withUnsafeBytes { bytes in
                        unsafe _ = batch.append(PageIndex(page), contents: bytes)
                    }
                }
                try unsafe batch.finish(sequence: sequence) { head, payload throws(LaneError) in
                    unsafe try near.send(head, payload)
                }
                sequence += 1
                let frame = unsafe try reader.next()
                let pages = unsafe try PageFrame(
                    header: frame.header,
                    body: frame.body,
                    guestPageCount: 8
                )
                var offset = 0
                for index in 0..<(unsafe pages.header.entryCount) {
                    let entry = unsafe try pages.entry(index)
                    let bytes = unsafe pages.contents(of: entry, at: offset)
                    offset += entry.payloadByteCount
                    unsafe try entry.decode(bytes, into: room)
                    unsafe digest.add(
                        entry.page,
                        contents: UnsafeRawBufferPointer(room),
                        as: entry.encoding
                    )
                }
            }
        }
        try travel(frames: 4)
        let count = try allocations { try travel(frames: 125) }
        #expect(count == 0, "1000 pages, \(digest)")
    }

    @Test(arguments: LaneCarrier.allCases)
    func `requests are written and read without allocating`(carrier: LaneCarrier) throws {
        let (near, far) = try lanes(.urgent(0), carrier)
        var reader = FrameReader(far)
        var sequence: UInt64 = 0
        let memory = try Mapping(.anonymous, byteCount: 4096)
        let room = unsafe UnsafeMutableRawBufferPointer(start: memory.base, count: 48)
        func travel(requests: Int) throws {
            for number in 0..<requests {
                let header = FrameHeader(
                    kind: .requests,
                    entryCount: 1,
                    payloadByteCount: 0,
                    sequence: sequence
                )
                unsafe header.write(to: .init(rebasing: room[..<32]))
                let entry = RequestEntry(page: PageIndex(number), requestClass: .vCPU)
                unsafe entry.write(0, to: .init(rebasing: room[32...]))
                unsafe try near.send(
                    UnsafeRawBufferPointer(room),
                    UnsafeRawBufferPointer(start: nil, count: 0)
                )
                sequence += 1
                let frame = unsafe try reader.next()
                let read = unsafe try RequestEntry(0, of: frame.body, pageCount: 1000)
                precondition(read == entry)
            }
        }
        try travel(requests: 4)
        let count = try allocations { try travel(requests: 1000) }
        #expect(count == 0)
    }

    @Test func `the page map and the bitmap allocate nothing per page`() throws {
        let map = try PageMap(pageCount: 1000)
        let bitmap = try PageBitmap(pageCount: 1000)
        var left = 0
        let count = allocations {
            for number in 0..<1000 {
                let page = PageIndex(number)
                _ = map.markRequested(page)
                _ = map.claim(page)
                left = map.markInstalled(PageRange(first: page, count: 1)).remainingCount
                _ = map.state(of: page)
                if number % 2 == 0 { _ = bitmap.insert(page) }
            }
            while let run = bitmap.takeRun(from: PageIndex(500), mostPages: 64) {
                precondition(run.count == 1)
            }
        }
        #expect(count == 0)
        #expect(left == 0)
    }
}
