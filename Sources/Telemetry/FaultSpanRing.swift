// SPDX-License-Identifier: Apache-2.0

private import LinuxSystem
private import Synchronization

/// Hands fault spans from the thread that stamps them to the one that counts them.
///
/// One thread records and one drains, at the same time if they like: no lock, no allocation after
/// the start. A ring that is not drained in time drops what comes, and counts it.
@safe package final class FaultSpanRing: @unchecked Sendable {
    // Sendable: a slot is written before `written` passes it, and read before `drained` does.
    private let slots: UnsafeMutablePointer<PackedSpan>
    private let written = Atomic<Int>(0)
    private let drained = Atomic<Int>(0)
    private let lost = Atomic<Int>(0)

    /// Spans that fit; drained ten times a second, this is room for 160 thousand a second.
    private static let capacity = 1 << 14
    /// Spans whose stages are wanted, of those that wait to be drained; beyond them, one of
    /// `stagesEvery`.
    private static let spansWithStages = 1000
    private static let stagesEvery = 16

    /// An empty ring, which takes up memory only as far as it has been used.
    package init() {
        unsafe slots = .allocate(capacity: Self.capacity)
    }

    deinit {
        // Spans are plain values: there is nothing to take apart.
        unsafe slots.deallocate()
    }

    /// Spans that found no room.
    package var lostCount: Int { lost.load(ordering: .relaxed) }

    /// Spans to be drained.
    package var count: Int {
        written.load(ordering: .relaxed) - drained.load(ordering: .relaxed)
    }

    /// Whether the stages of the fault that begins now are to be stamped; for the stamping thread.
    ///
    /// Where there are many, a sample of them tells as much.
    package var wantsStages: Bool {
        let count = count
        return count < Self.spansWithStages || count % Self.stagesEvery == 0
    }

    /// Adds a span; for the stamping thread.
    package func record(_ span: FaultSpan) {
        let position = written.load(ordering: .relaxed)
        guard position - drained.load(ordering: .acquiring) < Self.capacity else {
            lost.wrappingAdd(1, ordering: .relaxed)
            return
        }
        unsafe (slots + position % Self.capacity).initialize(to: PackedSpan(span))
        // Pairs with the acquire in `drain`.
        written.store(position + 1, ordering: .releasing)
    }

    /// Takes out what has been recorded, oldest first; for the thread that counts.
    ///
    /// - Parameter take: Is given each span, and its number among all that the ring has held.
    package func drain(_ take: (_ number: Int, _ span: FaultSpan) -> Void) {
        let end = written.load(ordering: .acquiring)
        var position = drained.load(ordering: .relaxed)
        while position < end {
            take(position, unsafe slots[position % Self.capacity].span)
            position += 1
        }
        // Pairs with the acquire in `record`: the slots may be written again.
        drained.store(end, ordering: .releasing)
    }
}

/// A span in half a cache line, so that the fault path writes, and the ring keeps, little.
///
/// Stages are kept as what has passed since the beginning, 4.2 s at the most; the whole is exact.
private struct PackedSpan {
    private let seen: UInt64
    /// From beginning to end, and the kind in the two highest bits.
    private let lengthAndKind: UInt64
    // Zero for nil.
    private let sent: UInt32
    private let served: UInt32
    private let received: UInt32
    private let installed: UInt32

    private static let lengthBits: UInt64 = 62

    init(_ span: FaultSpan) {
        seen = span.seen.nanoseconds
        let length = min(span.nanoseconds, 1 << Self.lengthBits - 1)
        lengthAndKind = length | UInt64(span.kind.index) << Self.lengthBits
        sent = Self.offset(span.sent, since: span.seen)
        served = Self.offset(span.served, since: span.seen)
        received = Self.offset(span.received, since: span.seen)
        installed = Self.offset(span.installed, since: span.seen)
    }

    var span: FaultSpan {
        let kind = FaultKind.allCases[Int(lengthAndKind >> Self.lengthBits)]
        var span = FaultSpan(kind, seen: MonotonicTime(nanoseconds: seen))
        let length = lengthAndKind & (1 << Self.lengthBits - 1)
        span.ended = MonotonicTime(nanoseconds: seen &+ length)
        span.sent = instant(sent)
        span.served = instant(served)
        span.received = instant(received)
        span.installed = instant(installed)
        return span
    }

    private static func offset(_ instant: MonotonicTime?, since seen: MonotonicTime) -> UInt32 {
        guard let instant else { return 0 }
        return max(1, UInt32(clamping: instant.nanoseconds(since: seen)))
    }

    private func instant(_ offset: UInt32) -> MonotonicTime? {
        offset == 0 ? nil : MonotonicTime(nanoseconds: seen &+ UInt64(offset))
    }
}
