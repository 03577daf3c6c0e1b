// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxSystem
import MigrationWire
import Synchronization
import TestSupport
import Testing
import Transport

/// A peer that writes what it likes into the shared memory.
@Suite(.serialized, .timeLimit(.minutes(3))) struct HostileRingTests {
    /// Claims of a writer of whose ring 200 bytes have been seen and 100 read; it has 4096.
    @Test(
        arguments: [
            0, 1, 99, 100, 199, 100 + 4097, 100 + 8192, 1 << 31, .max - 100, .max,
        ] as [UInt32]
    )
    func `a written cursor that cannot be is a violation`(claim: UInt32) throws {
        let pair = try RingPair(toDestinationBits: 12)
        let lane = pair.destination
        try pair.source.send([UInt8](repeating: 5, count: 200))
        #expect(try lane.receive(most: 100).count == 100)
        pair.word(0, ofRingFrom: .source).store(claim)
        expectCursorViolation(offset: 100) { _ = try lane.receive(most: 100) }
        // Nor does it pass the second time.
        expectCursorViolation(offset: 100) { _ = try lane.receive(most: 100) }
    }

    @Test func `a written cursor that jumps while the reader waits is a violation`() throws {
        let pair = try RingPair(toDestinationBits: 12)
        for sleeps in [false, true] {
            try whileThread { [lane = pair.destination] in
                expectCursorViolation(offset: 0) { _ = try lane.receive(most: 100) }
            } _: {
                if sleeps { try pair.awaitSleeper(3, ofRingFrom: .source) }
                pair.word(0, ofRingFrom: .source).store(4097)
                pair.word(3, ofRingFrom: .source).wakeAll()
            }
            pair.word(0, ofRingFrom: .source).store(0)
        }
    }

    /// Claims of a reader of a ring of 4096 bytes that has read 1000 of 5096 written.
    @Test(
        arguments: [
            0, 1, 999, 5097, 9192, 1 << 31, .max - 4096, .max,
        ] as [UInt32]
    )
    func `a read cursor that cannot be is a violation`(claim: UInt32) throws {
        let pair = try RingPair(toSourceBits: 12)
        let lane = pair.destination
        try lane.send([UInt8](repeating: 5, count: 4096))
        pair.word(1, ofRingFrom: .destination).store(1000)
        try lane.send([UInt8](repeating: 6, count: 1000))
        pair.word(1, ofRingFrom: .destination).store(claim)
        expectCursorViolation(offset: 0) { try lane.send([1]) }
        expectCursorViolation(offset: 0) { try lane.send([1]) }
    }

    @Test(arguments: [0, 1, 77, 1 << 31, .max] as [UInt32])
    func `a side's own words are never believed, whatever is written over them`(
        garbage: UInt32
    ) throws {
        let pair = try RingPair()
        for round in 1...20 {
            let bytes = [UInt8](repeating: UInt8(round), count: 777)
            // The writer's own cursor is right again with what it publishes next.
            pair.word(0, ofRingFrom: .source).store(garbage)
            try pair.source.send(bytes)
            #expect(pair.word(0, ofRingFrom: .source).value == UInt32(round * 777))
            // So is the reader's.
            for number in 1...3 { pair.word(number, ofRingFrom: .source).store(garbage) }
            #expect(try pair.destination.receive(exactly: 777) == bytes)
            #expect(pair.word(1, ofRingFrom: .source).value == UInt32(round * 777))
        }
    }

    @Test func `a flag that is cleared all the time keeps nobody from running out of time`()
        throws
    {
        let pair = try RingPair()
        let isOver = Atomic<Bool>(false)
        try pair.destination.limitBlocking(to: .milliseconds(100))
        try whileThread {
            while !isOver.load(ordering: .relaxed) {
                pair.word(3, ofRingFrom: .source).store(0)
                pair.word(3, ofRingFrom: .source).wakeAll()
            }
        } _: {
            #expect(throws: LaneError.timedOut(.urgent(3))) {
                try pair.destination.receive(most: 10)
            }
            isOver.store(true, ordering: .relaxed)
        }
    }

    @Test func `bytes on the socket of a ring lane are a violation`() throws {
        let ring = try LoneRing()
        try ring.peer?.send([1])
        #expect(throws: LaneError.violation(.urgent(3), offset: 0, .ringSocket)) {
            try ring.lane.receive(most: 10)
        }
    }

    @Test func `scribbling over the shared memory harms nobody`() throws {
        var random = SeededGenerator(seed: TestSeed.next(for: "scribbling"))
        let deadline = MonotonicTime.now.advanced(by: .seconds(HostFacts.isFullRun ? 60 : 2))
        var rounds = 0
        var ends: [String: Int] = [:]
        while MonotonicTime.now < deadline {
            rounds += 1
            let scribbler = Scribbler(seed: random.next())
            try scribbler.run()
            for (end, count) in scribbler.ends { ends[end, default: 0] += count }
        }
        print("\(rounds) rounds, \(ends.sorted { $0.key < $1.key })")
        #expect(rounds > 1)
    }
}

private func expectCursorViolation(offset: UInt64, _ body: () throws -> Void) {
    do {
        try body()
        Issue.record("nothing was noticed")
    } catch {
        guard case .violation(.urgent(3), offset, .ringCursor)? = error as? LaneError else {
            Issue.record("\(error)")
            return
        }
    }
}
