// SPDX-License-Identifier: Apache-2.0

internal import LinuxSystem
internal import MigrationWire
internal import Synchronization

/// Reads one ring; for one thread at a time.
final class RingReader: Sendable {
    private let ring: ByteRing
    private let lifeLine: LifeLine
    // Touched by the reading thread only: atomic so that it may be another one later.
    private let read = Atomic<UInt32>(0)
    private let seenWritten = Atomic<UInt32>(0)

    init(_ ring: ByteRing, _ lifeLine: LifeLine) {
        self.ring = ring
        self.lifeLine = lifeLine
    }

    /// Waits for bytes and takes as many as there are and fit, at least one.
    ///
    /// They are copied out before anybody looks at them: what is looked at cannot change.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws(LaneError) -> Int {
        precondition(buffer.count > 0)
        try lifeLine.check()
        let count = min(buffer.count, Int(try awaitBytes()))
        let cursor = read.load(ordering: .relaxed)
        unsafe ring.copyOut(into: .init(rebasing: buffer[..<count]), at: cursor)
        read.store(cursor &+ UInt32(count), ordering: .relaxed)
        // Sequentially consistent, as are the writer's store to `writerSleeps` and its look at
        // `read` after that: either it sees this room, or its flag is seen here.
        ring.read.store(cursor &+ UInt32(count))
        ring.writerSleeps.wakeSleeper()
        lifeLine.countReceived(count)
        return count
    }

    /// Bytes that may be read now, at least one.
    private func awaitBytes() throws(LaneError) -> UInt32 {
        if let count = try available(produced: ring.written.acquired) { return count }
        return try lifeLine.wait(on: ring.readerSleeps, for: ring.written) {
            produced throws(LaneError) in try available(produced: produced)
        }
    }

    /// The bytes there are when the writer claims to have written so much; nil when there are
    /// none.
    private func available(produced: UInt32) throws(LaneError) -> UInt32? {
        let mine = read.load(ordering: .relaxed)
        let count = produced &- mine
        // A writer can only write on, and no further than the ring has room.
        let least = seenWritten.load(ordering: .relaxed) &- mine
        guard count >= least, count <= ring.byteCount else {
            throw lifeLine.violation(.ringCursor(found: count, allowed: least...ring.byteCount))
        }
        seenWritten.store(produced, ordering: .relaxed)
        return count > 0 ? count : nil
    }
}
