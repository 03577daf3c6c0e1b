// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import MigrationWire
import Synchronization
import TestSupport
import Testing
import Transport

/// Bytes that tell where they belong.
private func pattern(_ range: Range<Int>) -> [UInt8] {
    range.map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
}

@Suite(.timeLimit(.minutes(2))) struct RingLaneTests {
    @Test(arguments: [1, 2, 47, 48, 1056, 4095, 4096, 4097, 4144, 8192, 12_289, 100_000])
    func `messages of any size come whole and in order, in both directions`(
        byteCount: Int
    ) throws {
        let pair = try RingPair()
        // Several times around the larger ring, with a step that hits its end everywhere.
        let messages = max(8, 40_000 / byteCount)
        let total = messages * byteCount
        let (source, destination) = (pair.source, pair.destination)
        try whileThread {
            // Echoes as it comes.
            var left = total
            while left > 0 {
                guard let bytes = try? source.receive(most: 5000) else { return }
                left -= bytes.count
                let cut = bytes.count / 3
                try? source.send(Array(bytes[..<cut]), Array(bytes[cut...]))
            }
        } _: {
            try whileThread {
                for number in 0..<messages {
                    let start = number * byteCount
                    let cut = min(32, byteCount)
                    try? destination.send(
                        pattern(start..<start + cut),
                        pattern(start + cut..<start + byteCount)
                    )
                }
            } _: {
                let bytes = try destination.receive(exactly: total)
                #expect(bytes == pattern(0..<total))
            }
        }
    }

    @Test func `cursors go around 2^32 like any other number`() throws {
        let pair = try RingPair(toDestinationBits: 20)
        let message = pattern(0..<(1 << 20) - 1000)
        var bytes = [UInt8](repeating: 0, count: message.count)
        // A little more than 4 GiB.
        for number in 0..<4110 {
            try pair.source.send(message)
            var span = bytes.mutableSpan
            let count = try unsafe span.withUnsafeMutableBytes { buffer throws(LaneError) in
                unsafe try pair.destination.receive(into: buffer)
            }
            try #require(count == message.count)
            if number % 100 == 0 || number > 4090 { #expect(bytes == message) }
        }
        #expect(pair.word(0, ofRingFrom: .source).value < 1 << 30)
    }

    @Test func `a full ring holds the writer until there is room`() throws {
        let pair = try RingPair(toSourceBits: 12)
        let isDone = Flag()
        try pair.destination.send(pattern(0..<4096))
        try whileThread { [destination = pair.destination] in
            try? destination.send(pattern(4096..<4196))
            isDone.set()
        } _: {
            try pair.awaitSleeper(2, ofRingFrom: .destination)
            #expect(!isDone.isSet)
            let start = MonotonicTime.now
            let bytes = try pair.source.receive(exactly: 4196)
            #expect(bytes == pattern(0..<4196))
            // Woken, not only noticed when its patience ended.
            #expect(start.age < .seconds(1))
        }
        #expect(isDone.isSet)
    }

    @Test func `a sleeping reader is woken by what is written`() throws {
        let pair = try RingPair()
        var slowest = Duration.zero
        for _ in 0..<5 {
            let sent = SharedInstant()
            try whileThread { [source = pair.source] in
                try? pair.awaitSleeper(3, ofRingFrom: .source)
                sent.mark()
                try? source.send([1, 2, 3])
            } _: {
                let bytes = try pair.destination.receive(most: 10)
                #expect(bytes == [1, 2, 3])
                slowest = max(slowest, sent.age)
            }
        }
        // Far below the 50 ms after which it would look by itself, on a machine that is loaded.
        #expect(slowest < .milliseconds(25))
    }

    @Test(arguments: [RingSide.source, .destination])
    func `what was written before the end is still read, and then the end`(
        side: RingSide
    ) throws {
        let pair = try RingPair()
        let (mine, theirs) = pair.ends(mine: side)
        try theirs.send(pattern(0..<3000))
        theirs.shutdown()
        #expect(try mine.receive(exactly: 3000) == pattern(0..<3000))
        let start = MonotonicTime.now
        #expect(throws: LaneError.closed(.urgent(3))) { try mine.receive(most: 10) }
        #expect(start.age < .seconds(1))
        // And it takes no more than the ring holds.
        #expect(throws: LaneError.closed(.urgent(3))) {
            for _ in 0..<100 { try mine.send(pattern(0..<1000)) }
        }
    }

    @Test func `a peer that ended without a word is noticed, by readers and writers`() throws {
        for isReading in [true, false] {
            // Nothing is shut down: the socket goes with the process, and nobody wakes.
            let ring = try LoneRing()
            let lane = ring.lane
            let hasEnded = Flag()
            try whileThread {
                do {
                    while true {
                        if isReading {
                            _ = try lane.receive(most: 100)
                        } else {
                            try lane.send(pattern(0..<3000))
                        }
                    }
                } catch {
                    #expect(error as? LaneError == .closed(.urgent(3)))
                    hasEnded.set()
                }
            } _: {
                pause(.milliseconds(120))
                ring.peer = nil
                let start = MonotonicTime.now
                while !hasEnded.isSet && start.age < .seconds(10) {
                    pause(.milliseconds(1))
                }
                #expect(start.age < .seconds(1))
                if !hasEnded.isSet { lane.shutdown() }
            }
        }
    }

    @Test(arguments: [RingSide.source, .destination])
    func `shutdown wakes every thread that waits, here and there, at once`(
        side: RingSide
    ) throws {
        let pair = try RingPair(toSourceBits: 12, toDestinationBits: 12)
        let ends = FutexWord(0)
        let threads = ThreadGroup()
        let began = SharedInstant()
        // Nobody reads in the one direction: its writer fills it up. Readers wait in the other.
        let (mine, theirs) = pair.ends(mine: side)
        let bodies: [@Sendable () throws -> Void] = [
            { while true { try mine.send(pattern(0..<1000)) } },
            { _ = try mine.receive(most: 10) },
        ]
        for (index, body) in bodies.enumerated() {
            try threads.start("test-wait-\(index)") {
                do {
                    try body()
                    Issue.record("it did not wait")
                } catch {
                    #expect(error as? LaneError == .closed(.urgent(3)))
                    #expect(began.age < .milliseconds(500))
                    ends.add(1)
                }
            }
        }
        let other = side == .source ? RingSide.destination : .source
        try pair.awaitSleeper(2, ofRingFrom: side)
        try pair.awaitSleeper(3, ofRingFrom: other)
        began.mark()
        theirs.shutdown()
        threads.joinAll()
        #expect(ends.value == 2)
        #expect(throws: LaneError.closed(.urgent(3))) { try theirs.send([1]) }
        #expect(throws: LaneError.closed(.urgent(3))) { try theirs.receive(most: 1) }
    }

    @Test func `a shutdown is never slept through`() throws {
        // The race between going to sleep and the wake, many times over.
        for round in 0..<300 {
            let pair = try RingPair()
            try whileThread { [lane = pair.source] in
                #expect(throws: LaneError.closed(.urgent(3))) { try lane.receive(most: 1) }
            } _: {
                if round % 3 > 0 { pause(.microseconds(round)) }
                let start = MonotonicTime.now
                pair.source.shutdown()
                #expect(start.age < .seconds(5))
            }
        }
    }

    @Test func `waits end at their bound`() throws {
        let pair = try RingPair(toSourceBits: 12)
        let lane = pair.destination
        try lane.limitBlocking(to: .milliseconds(30))
        let start = MonotonicTime.now
        #expect(throws: LaneError.timedOut(.urgent(3))) { try lane.receive(most: 1) }
        #expect(throws: LaneError.timedOut(.urgent(3))) { try lane.send(pattern(0..<4097)) }
        #expect(start.age >= .milliseconds(60))
        #expect(start.age < .seconds(5))
        try lane.limitBlocking(to: nil)
        try pair.source.send([7])
        #expect(try lane.receive(most: 5) == [7])
    }

    @Test func `its descriptor becomes readable when the peer goes`() throws {
        let pair = try RingPair()
        let number = pair.source.rawDescriptor
        #expect(try waitUntilReadable([number] as [CInt], timeout: .zero) == [false])
        pair.destination.shutdown()
        #expect(try waitUntilReadable([number] as [CInt], timeout: .seconds(5)) == [true])
        #expect(pair.source.carrier == .ring)
    }
}

private final class SharedInstant: Sendable {
    private let nanoseconds = Atomic<UInt64>(0)
    var age: Duration {
        MonotonicTime(nanoseconds: nanoseconds.load(ordering: .acquiring)).age
    }
    func mark() { nanoseconds.store(MonotonicTime.now.nanoseconds, ordering: .releasing) }
}

private final class Flag: Sendable {
    private let flag = Atomic<Bool>(false)
    var isSet: Bool { flag.load(ordering: .acquiring) }
    func set() { flag.store(true, ordering: .releasing) }
}

private func pause(_ duration: Duration) { FutexWord(0).wait(while: 0, timeout: duration) }

extension MonotonicTime {
    fileprivate var age: Duration {
        .nanoseconds(Int64(clamping: MonotonicTime.now.nanoseconds(since: self)))
    }
}
