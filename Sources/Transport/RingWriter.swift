// SPDX-License-Identifier: Apache-2.0

internal import LinuxSystem
internal import MigrationWire
internal import Synchronization

/// Writes one ring; for one thread at a time.
final class RingWriter: Sendable {
    private let ring: ByteRing
    private let lifeLine: LifeLine
    // Touched by the writing thread only: atomic so that it may be another one later.
    private let written = Atomic<UInt32>(0)
    private let seenRead = Atomic<UInt32>(0)

    init(_ ring: ByteRing, _ lifeLine: LifeLine) {
        self.ring = ring
        self.lifeLine = lifeLine
    }

    /// Writes a header and a body whole; both are published at once if the ring has room.
    func write(
        _ header: UnsafeRawBufferPointer,
        _ body: UnsafeRawBufferPointer
    ) throws(LaneError) {
        try lifeLine.check()
        unsafe try write(header)
        unsafe try write(body)
        publish()
    }

    private func write(_ bytes: UnsafeRawBufferPointer) throws(LaneError) {
        var done = 0
        while done < bytes.count {
            let count = min(bytes.count - done, Int(try awaitRoom()))
            let cursor = written.load(ordering: .relaxed)
            unsafe ring.copyIn(.init(rebasing: bytes[done..<done + count]), at: cursor)
            written.store(cursor &+ UInt32(count), ordering: .relaxed)
            done += count
        }
    }

    /// Hands over what was written, and wakes the reader if it sleeps.
    private func publish() {
        // Sequentially consistent, as are the reader's store to `readerSleeps` and its look at
        // `written` after that: either it sees these bytes, or its flag is seen here.
        ring.written.store(written.load(ordering: .relaxed))
        ring.readerSleeps.wakeSleeper()
    }

    /// Bytes that may be written now, at least one.
    private func awaitRoom() throws(LaneError) -> UInt32 {
        let used = written.load(ordering: .relaxed) &- seenRead.load(ordering: .relaxed)
        if used < ring.byteCount { return ring.byteCount - used }
        if let room = try room(consumed: ring.read.acquired) { return room }
        publish()
        return try lifeLine.wait(on: ring.writerSleeps, for: ring.read) {
            consumed throws(LaneError) in try room(consumed: consumed)
        }
    }

    /// The room there is when the reader claims to have read so much; nil when there is none.
    private func room(consumed: UInt32) throws(LaneError) -> UInt32? {
        let mine = written.load(ordering: .relaxed)
        let used = mine &- consumed
        // A reader can only read on, and no further than was written.
        let most = mine &- seenRead.load(ordering: .relaxed)
        guard used <= most else {
            throw lifeLine.violation(.ringCursor(found: used, allowed: 0...most))
        }
        seenRead.store(consumed, ordering: .relaxed)
        return used < ring.byteCount ? ring.byteCount - used : nil
    }
}
