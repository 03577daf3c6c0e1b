// SPDX-License-Identifier: Apache-2.0

internal import LinuxSystem
internal import MigrationWire
internal import Synchronization

/// The socket a ring lane was opened on: nothing is said on it any more, but it tells when the
/// other side has gone; and how the lane's threads wait.
///
/// Safe from several threads at once.
final class LifeLine: Sendable {
    let name: LaneName
    private let socket: Socket
    private let yields: Bool
    private let hasEnded = Atomic<Bool>(false)
    /// The longest wait in nanoseconds; zero is no bound.
    private let limit = Atomic<UInt64>(0)
    private let received = Atomic<UInt64>(0)

    /// How long a waiting thread spins before it sleeps: about what a sleep and a wake cost.
    private static let spinNanoseconds: UInt64 = 50_000
    /// Looks at the other side's cursor before it lets others run and reads the clock: few, since
    /// what it waits for may need this processor, and an emulated one takes 1 µs for each.
    private static let looksPerClock = 32
    /// How long a thread sleeps before it looks whether the other side is still there.
    private static let patience = Duration.milliseconds(50)

    /// - Parameters:
    ///   - name: The lane.
    ///   - socket: What it was opened on.
    ///   - yields: Whether a waiting thread lets others run now and then.
    init(_ name: LaneName, over socket: consuming Socket, yields: Bool) {
        self.name = name
        self.yields = yields
        self.socket = socket
    }

    /// For a poll set; readable when the other side has gone.
    var rawDescriptor: CInt { socket.rawDescriptor }

    /// Bounds every later wait; nil lifts the bound.
    func limitBlocking(to duration: Duration?) {
        // Zero would lift the bound.
        limit.store(duration.map { max(1, $0.wholeNanoseconds) } ?? 0, ordering: .relaxed)
    }

    /// Throws when the lane was shut down here.
    func check() throws(LaneError) {
        if hasEnded.load(ordering: .relaxed) { throw .closed(name) }
    }

    /// Ends the lane here and lets the other side see it; the caller then wakes the sleepers.
    func end() {
        // In one order with a sleeper's flag and its look at this one: see `sleep`.
        hasEnded.store(true, ordering: .sequentiallyConsistent)
        socket.shutdown()
    }

    /// Counts bytes for the offset in a violation.
    func countReceived(_ count: Int) {
        // One thread receives.
        let before = received.load(ordering: .relaxed)
        received.store(before &+ UInt64(count), ordering: .relaxed)
    }

    /// The error for what the other side must not do.
    func violation(_ defect: FrameDefect) -> LaneError {
        .violation(name, offset: received.load(ordering: .relaxed), defect)
    }

    /// Waits until the other side has moved its cursor far enough: spins a little, then sleeps.
    ///
    /// - Parameters:
    ///   - flag: What the other side looks at to know whether a thread here sleeps.
    ///   - cursor: What the other side moves.
    ///   - judge: Checks a value of the cursor; nil when it is not enough.
    /// - Returns: What `judge` found.
    /// - Throws: `closed` when either side has ended the lane, `timedOut`, a violation.
    func wait<Found>(
        on flag: SharedWord,
        for cursor: SharedWord,
        _ judge: (UInt32) throws(LaneError) -> Found?
    ) throws(LaneError) -> Found {
        let start = MonotonicTime.now
        while MonotonicTime.now.nanoseconds(since: start) < Self.spinNanoseconds {
            for _ in 0..<Self.looksPerClock {
                if let found = try judge(cursor.acquired) { return found }
                spinHint()
            }
            try check()
            // The other side may need this very processor.
            if yields { yieldProcessor() }
        }
        return try sleep(since: start, on: flag, for: cursor, judge)
    }

    private func sleep<Found>(
        since start: MonotonicTime,
        on flag: SharedWord,
        for cursor: SharedWord,
        _ judge: (UInt32) throws(LaneError) -> Found?
    ) throws(LaneError) -> Found {
        var hasPeer = true
        while true {
            // Sequentially consistent, like the looks after it and the other side's store to its
            // cursor and look at the flag after that: one of the two sees the other. Whoever
            // clears the flag also wakes, so that a sleeper's flag is always set.
            flag.store(1)
            if let found = try judge(cursor.value) {
                flag.store(0)
                return found
            }
            // What came before the other side went has been taken by now.
            guard hasPeer, !hasEnded.load(ordering: .sequentiallyConsistent) else {
                throw .closed(name)
            }
            let waited = MonotonicTime.now.nanoseconds(since: start)
            let limit = limit.load(ordering: .relaxed)
            guard limit == 0 || waited < limit else { throw .timedOut(name) }
            let remaining = Duration.nanoseconds(Int64(clamping: limit &- waited))
            flag.wait(while: 1, timeout: limit == 0 ? Self.patience : min(remaining, Self.patience))
            switch socket.peerState {
            case .silent: break
            case .gone: hasPeer = false
            case .speaking: throw violation(.ringSocket)
            }
        }
    }
}

extension SharedWord {
    /// Wakes the thread that sleeps on this flag, if one does; no system call otherwise.
    func wakeSleeper() {
        if value != 0, exchange(0) != 0 { wakeAll() }
    }
}
