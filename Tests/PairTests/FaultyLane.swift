// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import MigrationWire
import Synchronization
import Transport

/// One thing that goes wrong on one lane, at one message, on one side.
struct LaneFault: Sendable, CustomStringConvertible {
    enum Kind: String, CaseIterable, Sendable {
        /// The lane ends instead of carrying the message.
        case cut
        /// The message comes late.
        case delay
        /// What is received comes late; counted are the reads of the side, not its messages.
        case lateReceipt
        /// From the trigger on everything that is received comes late, and little of it at a time.
        case drip
        /// The message comes twice.
        case duplicate
        /// The message comes behind the one after it.
        case reorder
        /// Only the first half of the message comes, then the lane ends.
        case truncate
    }

    enum Side: String, CaseIterable, Sendable { case source, destination }

    let kind: Kind
    let side: Side
    let lane: LaneName
    /// Number of the message among those this side sends on the lane, after its opening.
    let message: Int
    /// What makes the next receipt late, in place of its number.
    var trigger: LaneFaultTrigger?
    /// How late that is.
    var lateness = Duration.milliseconds(30)

    var description: String { "\(kind) of message \(message) of the \(side) on its \(lane)" }
}

/// Says when something goes wrong, once for each time.
final class LaneFaultTrigger: Sendable {
    private let state = Atomic<Bool>(false)

    var isPulled: Bool { state.load(ordering: .acquiring) }

    func pull() { state.store(true, ordering: .releasing) }

    func take() -> Bool { state.exchange(false, ordering: .acquiringAndReleasing) }
}

/// A lane that fails as planned.
final class FaultyLane: Lane {
    private let lane: any Lane
    private let fault: LaneFault?
    private let sent = Atomic<Int>(0)
    private let reads = Atomic<Int>(0)
    private let held = Mutex<[UInt8]?>(nil)

    init(_ lane: any Lane, side: LaneFault.Side, _ fault: LaneFault?) {
        self.lane = lane
        self.fault = fault?.side == side && fault?.lane == lane.name ? fault : nil
    }

    var name: LaneName { lane.name }
    var carrier: LaneCarrier { lane.carrier }
    var rawDescriptor: CInt { lane.rawDescriptor }

    func send(
        _ header: UnsafeRawBufferPointer,
        _ body: UnsafeRawBufferPointer
    ) throws(LaneError) {
        let number = sent.wrappingAdd(1, ordering: .relaxed).oldValue
        guard let fault, number == fault.message else {
            unsafe try lane.send(header, body)
            if let late = held.withLock({ $0.take() }) { try sendBytes(late) }
            return
        }
        switch fault.kind {
        case .cut:
            lane.shutdown()
            throw .closed(name)
        case .delay:
            Self.waste(fault.lateness)
            unsafe try lane.send(header, body)
        case .lateReceipt, .drip:
            unsafe try lane.send(header, body)
        case .duplicate:
            unsafe try lane.send(header, body)
            unsafe try lane.send(header, body)
        case .reorder:
            let bytes = unsafe Array(header) + Array(body)
            held.withLock { $0 = bytes }
        case .truncate:
            let bytes = unsafe Array(header) + Array(body)
            try sendBytes(Array(bytes[..<(bytes.count / 2)]))
            lane.shutdown()
            throw .closed(name)
        }
    }

    func receive(into buffer: UnsafeMutableRawBufferPointer) throws(LaneError) -> Int {
        if let fault, fault.kind == .drip, fault.trigger?.isPulled == true {
            Self.waste(fault.lateness)
            let little = unsafe buffer[..<min(buffer.count, 1 << 16)]
            return unsafe try lane.receive(into: .init(rebasing: little))
        }
        let count = unsafe try lane.receive(into: buffer)
        let number = reads.wrappingAdd(1, ordering: .relaxed).oldValue
        if let fault, fault.kind == .lateReceipt,
            fault.trigger?.take() ?? (number == fault.message)
        {
            Self.waste(fault.lateness)
        }
        return count
    }

    private static func waste(_ time: Duration) { FutexWord(0).wait(while: 0, timeout: time) }

    func limitBlocking(to duration: Duration?) throws(LaneError) {
        try lane.limitBlocking(to: duration)
    }

    func shutdown() { lane.shutdown() }

    private func sendBytes(_ bytes: [UInt8]) throws(LaneError) {
        let span = bytes.span
        unsafe try span.withUnsafeBytes { buffer throws(LaneError) in
            unsafe try lane.send(buffer, UnsafeRawBufferPointer(start: nil, count: 0))
        }
    }
}
