// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import MigrationWire
import TestSupport
import Testing
import Transport

extension FrameReader {
    fileprivate mutating func receive() throws(LaneError) -> ReceivedFrame {
        let frame = unsafe try next()
        return unsafe ReceivedFrame(
            header: frame.header,
            body: Array(frame.body),
            offset: frame.offset
        )
    }
}

@Suite struct FrameReaderTests {
    private static let small: SampleFrames = {
        var random = SeededGenerator(seed: 3)
        var sample = SampleFrames()
        sample.appendRequests([1, 2])
        sample.appendPages([PageContents.compressible.bytes(using: &random)])
        sample.appendPages([PageContents.zero.bytes(using: &random)])
        sample.appendRequests([3])
        sample.appendEnd()
        return sample
    }()

    private static let large: SampleFrames = {
        var random = SeededGenerator(seed: 4)
        var sample = SampleFrames()
        let noise = (0..<64).map { _ in PageContents.incompressible.bytes(using: &random) }
        for _ in 0..<4 {
            sample.appendPages(noise)
            sample.appendRequests(Array(0..<64))
            sample.appendPages([noise[0]])
        }
        sample.appendEnd()
        return sample
    }()

    @Test(.timeLimit(.minutes(1)))
    func `frames cut at any byte come out whole`() throws {
        for cut in 1..<Self.small.bytes.count {
            let pair = try LanePair(.urgent(0))
            try pair.peer.send(Self.small.bytes)
            try expect(Self.small, from: ChoppedLane(pair.lane, plan: [cut]), "cut at \(cut)")
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `frames in pieces of a few bytes come out whole`() throws {
        for count in 1...40 {
            let pair = try LanePair(.urgent(0))
            try pair.peer.send(Self.small.bytes)
            try expect(Self.small, from: ChoppedLane(pair.lane, plan: [], rest: count), "\(count)")
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `frames that come together come out one by one`() throws {
        let pair = try LanePair(.urgent(0))
        try pair.peer.send(Self.small.bytes)
        try expect(Self.small, from: pair.lane, "at once")
    }

    @Test(.timeLimit(.minutes(1)), arguments: 0..<8)
    func `the largest frames in random pieces come out whole`(round: Int) throws {
        let seed = TestSeed.next(for: "pieces of frames") &+ UInt64(round)
        var random = SeededGenerator(seed: seed)
        let pieces = (0..<2000).map { _ in
            Bool.random(using: &random)
                ? Int.random(in: 1...100, using: &random)
                : Int.random(in: 1...400_000, using: &random)
        }
        let pair = try LanePair(.bulk(1))
        let peer = pair.peer
        try whileThread {
            try? peer.send(Self.large.bytes)
        } _: {
            try expect(Self.large, from: ChoppedLane(pair.lane, plan: pieces), "seed \(seed)")
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a stream that ends anywhere is closed, also between frames`() throws {
        let ends = Set(Self.small.frames.map { Int($0.offset) })
        for cut in 0..<Self.small.bytes.count {
            let pair = try LanePair(.urgent(3))
            try pair.peer.send(Array(Self.small.bytes[..<cut]))
            pair.peer.end()
            var reader = FrameReader(pair.lane)
            var count = 0
            while true {
                do {
                    _ = try reader.receive()
                    count += 1
                } catch {
                    #expect(error == .closed(.urgent(3)), "cut at \(cut)")
                    break
                }
            }
            #expect(count == ends.filter { $0 <= cut }.count - (cut >= 0 ? 1 : 0), "cut at \(cut)")
        }
    }

    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            (5, 3, "frame number 3 where 1 was due"), (5, 0, "frame number 0 where 1 was due"),
        ] as [(UInt8, UInt8, String)]
    )
    func `a wrong number names lane and offset`(
        lane: UInt8,
        number: UInt8,
        text: String
    ) throws {
        let pair = try LanePair(.bulk(lane))
        var bytes = Self.small.bytes
        let offset = Self.small.frames[1].offset
        bytes[Int(offset) + 8] = number
        try pair.peer.send(bytes)
        var reader = FrameReader(pair.lane)
        _ = try reader.receive()
        do {
            _ = try reader.receive()
            Issue.record("it was taken")
        } catch {
            #expect(
                error
                    == .violation(
                        .bulk(lane),
                        offset: offset,
                        .sequence(found: UInt64(number), expected: 1)
                    )
            )
            #expect(
                error.description
                    == "bulk lane \(lane), offset \(offset): protocol violation: \(text)"
            )
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a frame that comes twice is a violation`() throws {
        let pair = try LanePair(.urgent(0))
        let first = Array(Self.small.bytes[..<Int(Self.small.frames[1].offset)])
        try pair.peer.send(first + first)
        var reader = FrameReader(pair.lane)
        _ = try reader.receive()
        #expect(throws: violation(.sequence(found: 0, expected: 1), at: first.count)) {
            _ = try reader.receive()
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a payload of 4 GiB is refused before any of it is awaited`() throws {
        let pair = try LanePair(.urgent(0))
        var bytes = [UInt8](repeating: 0, count: 32)
        bytes[0] = 2
        bytes[2] = 1
        for index in 4..<8 { bytes[index] = 0xFF }
        try pair.peer.send(bytes)
        var reader = FrameReader(pair.lane)
        let defect = FrameDefect.payload(found: 4_294_967_295, expected: 262_144)
        #expect(throws: violation(defect, at: 0)) { _ = try reader.receive() }
    }

    @Test(.timeLimit(.minutes(1)))
    func `garbage is refused at its first byte`() throws {
        let pair = try LanePair(.urgent(0))
        try pair.peer.send([UInt8](repeating: 0x7F, count: 64))
        var reader = FrameReader(pair.lane)
        #expect(throws: violation(.kind(0x7F), at: 0)) { _ = try reader.receive() }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a wrong body is blamed on the frame it came in`() throws {
        let pair = try LanePair(.urgent(0))
        try pair.peer.send(Self.small.bytes)
        var reader = FrameReader(pair.lane)
        _ = try reader.receive()
        let frame = unsafe try reader.next()
        let error = unsafe reader.violation(.page(99), in: frame)
        #expect(error == violation(.page(99), at: Int(Self.small.frames[1].offset)))
    }

    @Test(.timeLimit(.minutes(1)))
    func `a bounded wait for the rest of a frame runs out of time`() throws {
        let pair = try LanePair(.urgent(0))
        try pair.lane.limitBlocking(to: .milliseconds(20))
        try pair.peer.send(Array(Self.small.bytes[..<40]))
        var reader = FrameReader(pair.lane)
        #expect(throws: LaneError.timedOut(.urgent(0))) { _ = try reader.receive() }
    }

    private func violation(_ defect: FrameDefect, at offset: Int) -> LaneError {
        .violation(.urgent(0), offset: UInt64(offset), defect)
    }

    private func expect(_ sample: SampleFrames, from lane: any Lane, _ comment: String) throws {
        var reader = FrameReader(lane)
        for frame in sample.frames {
            let received = try reader.receive()
            // Not as an expectation on both: a failure would print megabytes.
            let isSame = received == frame
            #expect(isSame, "\(comment), frame \(frame.header.sequence)")
        }
        #expect(reader.offset == UInt64(sample.bytes.count))
    }
}
