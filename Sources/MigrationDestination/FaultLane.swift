// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import MigrationWire
private import Synchronization
internal import Telemetry
internal import Transport

/// An urgent lane on which vCPUs fetch their own absent pages.
protocol FaultLane: AnyObject, Sendable {
    /// Requests a page and installs what is answered, until an answer can no longer be what makes
    /// it present: it is present, or another thread is about to install it.
    ///
    /// - Parameters:
    ///   - page: The first of its host page, marked as requested by the caller.
    ///   - seat: Which of the lane's vCPUs asks.
    ///   - span: Its fault, of which this is told how far it got.
    ///   - isStamped: Whether anybody wants to know.
    /// - Throws: What is wrong with the lane or an answer.
    func fetch(
        _ page: PageIndex,
        for seat: Int,
        _ span: inout FaultSpan,
        isStamped: Bool
    ) throws(MigrationError)
}

/// A lane that belongs to one vCPU: nobody else sends, receives or waits, and nothing is locked.
final class OwnFaultLane: FaultLane, @unchecked Sendable {
    // Sendable: everything mutable is only touched by the vCPU's thread, in `fetch`.
    private let memory: IncomingMemory
    private var sender: RequestSender
    private var receiver: AnswerReceiver
    /// Pages that are still to be answered.
    private var outstanding = 0

    init(_ lane: any Lane, into memory: IncomingMemory) {
        self.memory = memory
        sender = RequestSender(memory, on: lane, capacity: 1)
        receiver = AnswerReceiver(lane, into: memory, wake: .onlyKnownWaiters)
    }

    func fetch(
        _ page: PageIndex,
        for seat: Int,
        _ span: inout FaultSpan,
        isStamped: Bool
    ) throws(MigrationError) {
        sender.add(page, .vCPU)
        try sender.send(seen: span.seen)
        if isStamped { span.sent = .now }
        outstanding += memory.ram.backing.pagesPerHostPage
        // What is left unread, as the stream was faster, is read with the next answer.
        while outstanding > 0 && memory.mayComeByAnswer(page) {
            let answer = try receiver.receive(isStamped: isStamped)
            outstanding -= answer.pageCount
            span.take(answer)
        }
    }
}

/// A lane that several vCPUs share.
///
/// Each vCPU sends its own requests. One of those that wait has the lane's receiving end, installs
/// the answers of all, calls whose pages have come, and when its own has come leaves the receiving
/// end to another: no thread stands between a vCPU and its page.
final class SharedFaultLane: FaultLane, @unchecked Sendable {
    // Sendable: `receiver` is only touched by the thread that has set `isReceiving`.
    private let memory: IncomingMemory
    private let sender: Locked<RequestSender>
    private var receiver: AnswerReceiver
    private let isReceiving = Atomic<Bool>(false)
    /// Pages that are still to be answered.
    private let outstanding = Atomic<Int>(0)
    private let seats: [Seat]

    /// Where one vCPU waits.
    fileprivate final class Seat: Sendable {
        /// The page it waits for, or a negative number.
        let page = Atomic<Int>(-1)
        /// Changes when it is to look again.
        let calls = FutexWord(0)
        /// When its fault was seen, which its answer brings back, and what the answer said.
        let seen = Atomic<UInt64>(0)
        let served = Atomic<UInt64>(0)
        let received = Atomic<UInt64>(0)
    }

    /// - Parameters:
    ///   - lane: An urgent lane that nobody else uses.
    ///   - memory: Where pages go.
    ///   - seats: How many vCPUs share it.
    init(_ lane: any Lane, into memory: IncomingMemory, seats: Int) {
        self.memory = memory
        sender = Locked(RequestSender(memory, on: lane, capacity: 1))
        receiver = AnswerReceiver(lane, into: memory, wake: .onlyKnownWaiters)
        self.seats = (0..<seats).map { _ in Seat() }
    }

    func fetch(
        _ page: PageIndex,
        for seat: Int,
        _ span: inout FaultSpan,
        isStamped: Bool
    ) throws(MigrationError) {
        let place = seats[seat]
        place.received.store(0, ordering: .relaxed)
        place.seen.store(span.seen.nanoseconds, ordering: .releasing)
        // Before the request: its answer may come at once, to another thread.
        outstanding.wrappingAdd(memory.ram.backing.pagesPerHostPage, ordering: .relaxed)
        try sender.withLock { sender throws(MigrationError) in
            sender.add(page, .vCPU)
            try sender.send(seen: span.seen)
        }
        if isStamped { span.sent = .now }
        defer { leave(place) }
        try awaitAnswer(for: page, at: place, isStamped)
        let received = place.received.load(ordering: .acquiring)
        guard received != 0 else { return }
        span.received = MonotonicTime(nanoseconds: received)
        span.served = MonotonicTime(nanoseconds: place.served.load(ordering: .relaxed))
    }

    private func awaitAnswer(
        for page: PageIndex,
        at seat: Seat,
        _ isStamped: Bool
    ) throws(MigrationError) {
        while memory.mayComeByAnswer(page) {
            let serial = seat.calls.value
            // Who gives the receiving end up does so first and then looks for one who waits: either
            // it sees this page, or the receiving end is free in the next line.
            seat.page.store(page.rawValue, ordering: .sequentiallyConsistent)
            if !isReceiving.exchange(true, ordering: .sequentiallyConsistent) {
                defer { isReceiving.store(false, ordering: .sequentiallyConsistent) }
                return try receive(until: page, isStamped)
            }
            // The limit only bounds what a call lost in a bug would cost.
            if memory.mayComeByAnswer(page) {
                seat.calls.wait(while: serial, timeout: .seconds(1))
            }
        }
    }

    private func receive(until page: PageIndex, _ isStamped: Bool) throws(MigrationError) {
        while outstanding.load(ordering: .relaxed) > 0 && memory.mayComeByAnswer(page) {
            let answer = try receiver.receive(isStamped: isStamped)
            outstanding.wrappingSubtract(answer.pageCount, ordering: .relaxed)
            for seat in seats {
                if isStamped { seat.take(answer) }
                let waitsFor = seat.page.load(ordering: .sequentiallyConsistent)
                guard waitsFor >= 0, waitsFor != page.rawValue,
                    !memory.mayComeByAnswer(PageIndex(waitsFor))
                else { continue }
                seat.calls.add(1)
            }
        }
    }

    /// Leaves a seat, and sees to it that the receiving end is not left alone by one who was called
    /// to take it and had no need to.
    private func leave(_ seat: Seat) {
        seat.page.store(-1, ordering: .sequentiallyConsistent)
        guard !isReceiving.load(ordering: .sequentiallyConsistent),
            let next = seats.first(where: {
                $0.page.load(ordering: .sequentiallyConsistent) >= 0
            })
        else { return }
        next.calls.add(1)
    }
}

extension SharedFaultLane.Seat {
    /// Notes an answer, if it is this seat's.
    fileprivate func take(_ answer: AnswerReceiver.Answer) {
        guard seen.load(ordering: .acquiring) == answer.token, let instant = answer.received
        else { return }
        served.store(answer.servedNanoseconds, ordering: .relaxed)
        received.store(instant.nanoseconds, ordering: .releasing)
    }
}

extension FaultSpan {
    /// Notes an answer, if it is the one to this fault's request.
    fileprivate mutating func take(_ answer: AnswerReceiver.Answer) {
        guard answer.token == seen.nanoseconds, answer.received != nil else { return }
        received = answer.received
        served = MonotonicTime(nanoseconds: answer.servedNanoseconds)
    }
}
