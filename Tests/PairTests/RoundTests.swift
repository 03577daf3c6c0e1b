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

/// Precopy rounds between both roles in one process, with a real guest.
@Suite(.serialized, .timeLimit(.minutes(5)), .enabled(if: HostFacts.runsMigrationTests))
struct RoundTests {
    /// A page that an idle walker never touches.
    private static let page = PageRange(first: PageIndex(3000), count: 1)

    /// Writes the page behind the last round, when only the pause is still to come.
    @Test(arguments: [MigrationMode.hybrid, .precopy], [true, false])
    func `what a device writes arrives if it says so, and is found out if not`(
        mode: MigrationMode,
        saysSo: Bool
    ) throws {
        let options = WalkerOptions(workingSetPages: 0, zeroPercent: 0)
        let write: @Sendable (Machine) -> Void = { machine in
            let bytes = unsafe machine.memory.bytes(of: Self.page)
            unsafe bytes[100] &+= 1
            if saysSo { machine.memory.noteWritten(Self.page) }
        }
        let pair = try Pair(options: options, sourceNotes: write)
        defer { pair.guest.stop() }
        let expected = unsafe pair.guest.memory.bytes(of: Self.page)[100] &+ 1
        let outcome = try pair.migrate(mode: mode) { guest, _ in
            #expect(unsafe guest.machine.memory.bytes(of: Self.page)[100] == expected)
        }
        #expect(outcome.source == (saysSo ? .migrated : .lost))
        #expect(outcome.destination == (saysSo ? .arrived : .lost))
    }

    @Test(arguments: [MigrationMode.hybrid, .precopy], HostFacts.backings)
    func `pages that come in rounds are counted once, and where they were written last`(
        mode: MigrationMode,
        backing: Backing
    ) throws {
        let pair = try Pair(options: WalkerOptions(zeroPercent: 20), transport: .ring)
        defer { pair.guest.stop() }
        let outcome = try pair.migrate(backing: backing, mode: mode, streams: 3) { guest, report in
            #expect(report.digest.match == true)
            let pages = report.pages
            let precopy = try #require(report.precopy)
            #expect(
                precopy.pages + pages.requested + pages.prefetched + pages.streamed == pages.total
            )
            let zero = (0..<Int(pages.total)).count { number in
                let range = PageRange(first: PageIndex(number), count: 1)
                return unsafe isZero(.init(guest.machine.memory.bytes(of: range)))
            }
            // The guest goes on, and fills pages of zeros.
            #expect(Int(pages.zero) >= zero)
            #expect(guest.machine.ending == nil)
        }
        #expect(outcome.source == .migrated)
        #expect(outcome.destination == .arrived)
    }

    @Test func `a destination that lets a round in the pause drip does not get the guest`() throws {
        let trigger = LaneFaultTrigger()
        var fault = LaneFault(kind: .drip, side: .destination, lane: .bulk(0), message: 0)
        fault.trigger = trigger
        fault.lateness = .milliseconds(100)
        let pages = PageRange(first: PageIndex(2500), count: 1500)
        let pair = try Pair(
            options: WalkerOptions(workingSetPages: 0, zeroPercent: 0),
            fault: fault,
            sourceNotes: { machine in
                // Behind the last round: what is sent in the pause takes 10 s so.
                machine.memory.noteWritten(pages)
                trigger.pull()
            }
        )
        defer { pair.guest.stop() }
        var generator = SystemRandomNumberGenerator()
        let bytes = unsafe pair.guest.memory.bytes(of: pages)
        for offset in stride(from: 0, to: pages.byteCount, by: 8) {
            unsafe bytes.storeBytes(of: generator.next(), toByteOffset: offset, as: UInt64.self)
        }
        let outcome = try pair.migrate(mode: .precopy, limit: .seconds(1))
        #expect(outcome.source == .keptGuest)
        #expect(outcome.destination == .cancelled)
        #expect(pair.guestRunsAtSource())
    }

    @Test func `a list of pages to discard is worked through before the guest is paused`() throws {
        let trigger = LaneFaultTrigger()
        var fault = LaneFault(kind: .lateReceipt, side: .destination, lane: .control, message: 0)
        fault.trigger = trigger
        fault.lateness = .milliseconds(800)
        // What the source says of its last round comes before the list.
        let pair = try Pair(fault: fault, sourceNotes: { _ in trigger.pull() })
        defer { pair.guest.stop() }
        let start = MonotonicTime.now
        let outcome = try pair.migrate(mode: .hybrid) { _, report in
            #expect(try #require(report.precopy).discardedPages > 0)
            let downtime = try #require(report.switchover?.downtimeMicroseconds)
            #expect(downtime < 700_000)
        }
        #expect(MonotonicTime.now.nanoseconds(since: start) > 800_000_000, "no list came late")
        #expect(outcome.source == .migrated)
        #expect(outcome.destination == .arrived)
    }

    @Test func `a cap that holds the stream back does not hold back the end`() throws {
        let pair = try Pair(options: WalkerOptions(workingSetPages: 256, zeroPercent: 0))
        defer { pair.guest.stop() }
        // After its first frame the stream rests for minutes; the guest asks for the rest.
        let outcome = try pair.migrate(mode: .hybrid, streamBytesPerSecond: 100) { guest, report in
            #expect(report.digest.match == true)
            #expect(report.pages.requested > 0)
        }
        #expect(outcome.source == .migrated)
        #expect(outcome.destination == .arrived)
    }

    @Test(arguments: [LaneFault.Kind.cut, .duplicate], LaneFault.Side.allCases)
    func `whatever message is hurt in a round, the guest stays whole at one side`(
        kind: LaneFault.Kind,
        side: LaneFault.Side
    ) throws {
        for lane in [LaneName.control, .bulk(0)] {
            for message in [1, 2, 40] {
                let fault = LaneFault(kind: kind, side: side, lane: lane, message: message)
                let pair = try Pair(fault: fault)
                defer { pair.guest.stop() }
                let outcome = try pair.migrate(mode: .hybrid, limit: .seconds(1))
                switch (outcome.source, outcome.destination) {
                case (.keptGuest, .cancelled):
                    #expect(pair.guestRunsAtSource(), "nobody runs the guest after \(fault)")
                case (.migrated, _), (.lost, _):
                    #expect(!pair.guestRunsAtSource(), "both sides run it: \(fault)")
                default:
                    Issue.record("\(outcome) after \(fault)")
                }
            }
        }
    }
}
