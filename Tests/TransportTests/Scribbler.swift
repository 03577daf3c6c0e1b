// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import MigrationWire
import Synchronization
import TestSupport
import Testing
import Transport

/// One round of a fuzz: both sides transfer while a third hand writes over their memory.
final class Scribbler {
    /// How each side's threads ended, and how many did so.
    private(set) var ends: [String: Int] = [:]
    private var random: SeededGenerator

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    func run() throws {
        let pair = try RingPair(
            toSourceBits: UInt8.random(in: 12...14, using: &random),
            toDestinationBits: UInt8.random(in: 12...16, using: &random)
        )
        let isOneWay = Bool.random(using: &random)
        // ThreadSanitizer does not see what a Mutex orders: each thread has a place of its own.
        let found = (0..<4).map { _ in End() }
        var count = 0
        let threads = ThreadGroup()
        func start(_ name: String, _ body: @escaping @Sendable () throws -> Void) throws {
            let end = found[count]
            count += 1
            try threads.start(name) {
                do {
                    try body()
                    end.kind.store(.done, ordering: .releasing)
                } catch {
                    end.kind.store(EndKind(error), ordering: .releasing)
                }
            }
        }
        for (name, from, to) in [
            ("down", pair.source, pair.destination), ("up", pair.destination, pair.source),
        ] where !isOneWay || name == "down" {
            let seed = random.next()
            try start("test-write-\(name)") {
                var sizes = SeededGenerator(seed: seed)
                for _ in 0..<2000 {
                    let size = Int.random(in: 1...20_000, using: &sizes)
                    try from.send([UInt8](repeating: UInt8(truncatingIfNeeded: size), count: size))
                }
            }
            try start("test-read-\(name)") {
                while true { _ = try to.receive(most: 9000) }
            }
        }
        scribble(pair)
        pair.source.shutdown()
        pair.destination.shutdown()
        threads.joinAll()
        for end in found[..<count] {
            let kind = end.kind.load(ordering: .acquiring)
            #expect(kind != .unexpected)
            ends["\(kind)", default: 0] += 1
        }
        if isOneWay { expectUntouchedRing(pair) }
    }

    /// Writes over the head more often than over the bytes: there is where it can hurt.
    private func scribble(_ pair: RingPair) {
        // In one-way rounds the ring to the source is to stay as it is.
        let bytes = RingShape.headByteCount + pair.shape.toSourceByteCount
        let until = MonotonicTime.now.advanced(
            by: .microseconds(Int.random(in: 0...5000, using: &random))
        )
        repeat {
            let value = UInt32.random(in: 0 ... .max, using: &random)
            switch UInt8.random(in: 0...9, using: &random) {
            case 0...1:
                let offset = Int.random(in: bytes..<pair.shape.byteCount, using: &random)
                pair.word(at: offset & ~3).store(value)
            case 2...5:
                // Flags: they must not end anything.
                let number = Int.random(in: 2...3, using: &random)
                pair.word(number, ofRingFrom: .source).store(value & 1)
            case 6:
                pair.word(2, ofRingFrom: .destination).store(value)
            default:
                guard Int.random(in: 0...500, using: &random) == 0 else { continue }
                let number = Int.random(in: 0...3, using: &random)
                let side = Bool.random(using: &random) ? RingSide.source : .destination
                let word = pair.word(number, ofRingFrom: side)
                let isNear = Bool.random(using: &random)
                word.store(isNear ? word.value &+ (value % 64) &- 32 : value)
            }
        } while MonotonicTime.now < until
    }

    /// Nobody wrote the one ring, so nothing may have been written into it from the other.
    private func expectUntouchedRing(_ pair: RingPair) {
        let start = RingShape.headByteCount
        for offset in stride(from: start, to: start + pair.shape.toSourceByteCount, by: 4) {
            guard pair.word(at: offset).acquired == 0 else {
                Issue.record("written outside the ring, at \(offset)")
                return
            }
        }
    }
}

/// How a thread ended.
private enum EndKind: UInt8, AtomicRepresentable {
    case unexpected, done, closed, cursor

    /// What writing over the memory may lead to, and nothing else.
    init(_ error: any Error) {
        self =
            switch error as? LaneError {
            case .closed: .closed
            case .violation(_, _, .ringCursor): .cursor
            default: .unexpected
            }
    }
}

private final class End: Sendable {
    let kind = Atomic<EndKind>(.unexpected)
}
