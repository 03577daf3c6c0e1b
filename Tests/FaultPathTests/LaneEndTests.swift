// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import KVM
import MigrationDestination
import MigrationWire
import TestSupport
import Testing
import Transport

/// What else may happen while a vCPU waits for its answer.
extension FaultPathTests {
    @Test(arguments: HostFacts.exitPaths, HostFacts.ordinaryBackings)
    func `a page that the stream brings first is not installed again by the answer`(
        path: FaultPath,
        backing: Backing
    ) throws {
        let guest = try ArrivingGuest(path, backing, vCPUCount: 2)
        defer { guest.end() }
        let page = PageIndex(30)
        guest.source.holdAnswers()
        let asking = try guest.drive(0) { try $0.read(page) }
        try guest.awaitRequest(for: page)
        let waiting = try guest.drive(1) { try $0.read(page, offset: 64) }
        #expect(eventually { guest.memory.faults.totals.exitsAwaited == 1 })
        try guest.stream([page])
        // Who waits for the page itself goes on at once.
        #expect(try waiting.value() == guest.source.word(of: page, at: 64))
        try guest.drive(1) { try $0.write(0xA905, to: page, offset: 8) }.value()
        guest.source.releaseAnswers()
        #expect(try asking.value() == guest.source.word(of: page))
        #expect(guest.holds(page, except: [8: 0xA905]))
        #expect(guest.memory.totals.duplicate == 1)
        #expect(guest.source.requests.count == 1)
    }

    @Test(arguments: HostFacts.exitPaths)
    func `a vCPU whose lane ends while it waits says so, and waits until the end`(
        path: FaultPath
    ) throws {
        let guest = try ArrivingGuest(path, vCPUCount: 2)
        defer { guest.end() }
        let page = PageIndex(30)
        guest.source.holdAnswers()
        let asking = try guest.drive(0) { try $0.read(page) }
        try guest.awaitRequest(for: page)
        let waiting = try guest.drive(1) { try $0.read(page) }
        #expect(eventually { guest.memory.faults.totals.exitsAwaited == 1 })
        guest.cutLane(of: 0)
        #expect(eventually { guest.memory.failure.error == .lane(.closed(.urgent(1))) })
        // The page may still come another way, and whoever steers has been told.
        #expect(asking.goesOn(for: .milliseconds(20)))
        #expect(waiting.goesOn(for: .milliseconds(20)))
        guest.end()
        let lost = CommandedVCPU.Stop.pageNeverCame(address: UInt64(page.rawValue) << 12)
        #expect(throws: lost) { try asking.value() }
        #expect(throws: lost) { try waiting.value() }
    }

    @Test(arguments: HostFacts.exitPaths)
    func `a vCPU whose lane ends goes on when the stream brings its page`(
        path: FaultPath
    ) throws {
        let guest = try ArrivingGuest(path)
        defer { guest.end() }
        let page = PageIndex(30)
        guest.source.holdAnswers()
        let asking = try guest.drive { try $0.read(page) }
        try guest.awaitRequest(for: page)
        guest.cutLane(of: 0)
        #expect(eventually { guest.memory.failure.error == .lane(.closed(.urgent(1))) })
        #expect(asking.goesOn(for: .milliseconds(20)))
        try guest.stream([page])
        #expect(try asking.value() == guest.source.word(of: page))
        // What is still absent cannot be had on this lane.
        let next = try guest.drive { try $0.read(PageIndex(31)) }
        #expect(next.goesOn(for: .milliseconds(20)))
        guest.end()
        #expect(throws: CommandedVCPU.Stop.self) { try next.value() }
    }

    @Test(arguments: HostFacts.exitPaths)
    func `all vCPUs come back when the migration is given up`(path: FaultPath) throws {
        let guest = try ArrivingGuest(path, vCPUCount: 2)
        defer { guest.end() }
        guest.source.holdAnswers()
        let vCPUs = try (0..<2).map { index in
            try guest.drive(index) { try $0.read(PageIndex(30 + index)) }
        }
        for index in 0..<2 { try guest.awaitRequest(for: PageIndex(30 + index)) }
        guest.end()
        for vCPU in vCPUs { #expect(throws: CommandedVCPU.Stop.self) { try vCPU.value() } }
    }

    @Test(arguments: HostFacts.exitPaths)
    func `a touch outside guest memory is no fault`(path: FaultPath) throws {
        let guest = try ArrivingGuest(path)
        defer { guest.end() }
        let outside = PageIndex(ArrivingGuest.pageCount + 5)
        let vCPU = try guest.drive { try $0.read(outside) }
        #expect(throws: CommandedVCPU.Stop.self) { try vCPU.value() }
        #expect(guest.memory.faults.totals.exits == 0)
    }
}
