// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import LinuxSystem
import Machine
import MigrationDestination
import MigrationWire
import Telemetry
import TestSupport
import Testing
import Transport

/// Both roles in one process, with a real guest, over socket pairs.
@Suite(.serialized, .timeLimit(.minutes(5)), .enabled(if: HostFacts.runsMigrationTests))
struct PairTests {
    @Test(arguments: HostFacts.backings, HostFacts.backings)
    func `a guest moves between any two backings`(from: Backing, to: Backing) throws {
        // The same memory goes over sockets, other memory over rings.
        let pair = try Pair(backing: from, transport: from == to ? .socket : .ring)
        defer { pair.guest.stop() }
        let outcome = try pair.migrate(backing: to) { guest, report in
            #expect(report.digest.match == true)
            let pages = report.pages
            #expect(pages.requested + pages.prefetched + pages.streamed == pages.total)
            #expect(report.pages.zero > 0)
            #expect(makesProgress(guest.machine))
            #expect(guest.machine.ending == nil)
        }
        #expect(outcome.source == .migrated)
        #expect(outcome.destination == .arrived)
    }

    @Test(arguments: [1, 2, 4], [TransportChoice.socket, .ring])
    func `a guest of several vCPUs moves over several lanes`(
        count: Int,
        transport: TransportChoice
    ) throws {
        let pair = try Pair(memoryBytes: 32 << 20, vCPUs: count, transport: transport)
        defer { pair.guest.stop() }
        let outcome = try pair.migrate(streams: count, faultReaders: count) { guest, report in
            #expect(report.digest.match == true)
            #expect(makesProgress(guest.machine))
        }
        #expect(outcome.destination == .arrived)
    }

    @Test(arguments: LaneFault.Side.allCases, 0..<6)
    func `a message that comes late changes nothing`(
        side: LaneFault.Side,
        message: Int
    ) throws {
        for lane in [LaneName.control, .urgent(0), .bulk(0)] {
            let fault = LaneFault(kind: .delay, side: side, lane: lane, message: message)
            let pair = try Pair(fault: fault)
            defer { pair.guest.stop() }
            let outcome = try pair.migrate { guest, report in
                #expect(report.digest.match == true, "\(fault)")
                #expect(makesProgress(guest.machine), "\(fault)")
            }
            #expect(outcome.source == .migrated, "\(fault)")
            #expect(outcome.destination == .arrived, "\(fault)")
        }
    }

    @Test(arguments: [LaneFault.Kind.cut, .truncate], LaneFault.Side.allCases)
    func `over rings, too, one side at most runs the guest, whatever message is hurt`(
        kind: LaneFault.Kind,
        side: LaneFault.Side
    ) throws {
        for lane in [LaneName.urgent(0), .bulk(0)] {
            for message in 0..<3 {
                let fault = LaneFault(kind: kind, side: side, lane: lane, message: message)
                try checkOutcome(fault, transport: .ring)
            }
        }
    }

    @Test(
        arguments: [LaneFault.Kind.cut, .truncate, .duplicate, .reorder],
        LaneFault.Side.allCases
    )
    func `one side at most runs the guest, whatever message is hurt`(
        kind: LaneFault.Kind,
        side: LaneFault.Side
    ) throws {
        for lane in [LaneName.control, .urgent(0), .bulk(0)] {
            for message in 0..<6 {
                try checkOutcome(LaneFault(kind: kind, side: side, lane: lane, message: message))
            }
        }
    }

    private func checkOutcome(
        _ fault: LaneFault,
        transport: TransportChoice = .socket
    ) throws {
        let pair = try Pair(fault: fault, transport: transport)
        defer { pair.guest.stop() }
        var runsAtSourceToo = false
        // A message that never comes is waited for: not long.
        let outcome = try pair.migrate(limit: .seconds(1)) { guest, report in
            #expect(report.digest.match == true, "\(fault)")
            #expect(makesProgress(guest.machine), "\(fault)")
            runsAtSourceToo = pair.guestRunsAtSource()
        }
        switch (outcome.source, outcome.destination) {
        case (.migrated, .arrived), (.lost, .lost), (.lost, .unconfirmed), (.lost, .cancelled),
            (.lost, .arrived), (.migrated, .unconfirmed):
            #expect(!runsAtSourceToo, "both sides run the guest after \(fault)")
            #expect(!pair.guestRunsAtSource(), "the source runs a guest it gave away: \(fault)")
        case (.keptGuest, .cancelled):
            #expect(pair.guestRunsAtSource(), "nobody runs the guest after \(fault)")
        default:
            Issue.record("\(outcome) after \(fault)")
        }
    }

    @Test func `after a migration that was cut short the next destination takes the guest`()
        throws
    {
        let fault = LaneFault(kind: .cut, side: .destination, lane: .control, message: 2)
        let pair = try Pair(fault: fault)
        defer { pair.guest.stop() }
        let first = try pair.migrate()
        #expect(first.source == .keptGuest)
        #expect(first.destination == .cancelled)
        pair.endpoints.mend()
        let second = try pair.migrate { guest, report in
            #expect(report.digest.match == true)
            #expect(makesProgress(guest.machine))
        }
        #expect(second.destination == .arrived)
    }
}

/// Whether a guest that has arrived goes on, without an error of its own.
private func makesProgress(_ machine: Machine) -> Bool {
    let before = machine.heartbeats.map(\.count).reduce(0, +)
    for _ in 0..<200 {
        FutexWord(0).wait(while: 0, timeout: .milliseconds(10))
        if machine.heartbeats.map(\.count).reduce(0, +) > before { return machine.ending == nil }
    }
    return false
}
