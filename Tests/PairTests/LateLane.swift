// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import MigrationWire
import Transport

/// A lane on which everything takes its time.
final class LateLane: Lane {
    private let lane: any Lane
    private let sending: Duration
    private let receiving: Duration

    /// - Parameters:
    ///   - lane: What carries everything.
    ///   - sending: By how much messages leave late.
    ///   - receiving: By how much they come late.
    init(lane: any Lane, sending: Duration = .zero, receiving: Duration = .zero) {
        self.lane = lane
        self.sending = sending
        self.receiving = receiving
    }

    var name: LaneName { lane.name }
    var carrier: LaneCarrier { lane.carrier }
    var rawDescriptor: CInt { lane.rawDescriptor }

    func send(
        _ header: UnsafeRawBufferPointer,
        _ body: UnsafeRawBufferPointer
    ) throws(LaneError) {
        wait(sending)
        unsafe try lane.send(header, body)
    }

    func receive(into buffer: UnsafeMutableRawBufferPointer) throws(LaneError) -> Int {
        let count = unsafe try lane.receive(into: buffer)
        wait(receiving)
        return count
    }

    func limitBlocking(to duration: Duration?) throws(LaneError) {
        try lane.limitBlocking(to: duration)
    }

    func shutdown() { lane.shutdown() }

    private func wait(_ time: Duration) {
        if time > .zero { FutexWord(0).wait(while: 0, timeout: time) }
    }
}
