// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import KVM
import MigrationDestination
import MigrationWire
import TestSupport
import Testing

/// Touches that are no exits although exits are on: the kernel's on the guest's behalf, and those of
/// other threads.
extension FaultPathTests {
    /// An instruction that KVM emulates, with its operand in memory.
    enum Emulated: CaseIterable, Sendable {
        case stringOutput, stringInput, deviceRead
    }

    @Test(arguments: HostFacts.exitPaths, HostFacts.ordinaryBackings)
    func `an operand of an emulated instruction comes by userfaultfd`(
        path: FaultPath,
        backing: Backing
    ) throws {
        for instruction in Emulated.allCases {
            let guest = try ArrivingGuest(path, backing)
            defer { guest.end() }
            let page = PageIndex(30)
            let value = try guest.drive { vCPU in
                switch instruction {
                case .stringOutput: return try vCPU.output(page)
                case .stringInput: try vCPU.input(0xA9, to: page)
                case .deviceRead: try vCPU.move(0x1234_5678_9ABC_DEF0, to: page)
                }
                return 0
            }.value()
            let original = guest.source.word(of: page)
            switch instruction {
            case .stringOutput:
                #expect(value == original & 0xFF)
                #expect(guest.holds(page))
            case .stringInput: #expect(guest.holds(page, except: [0: original & ~0xFF | 0xA9]))
            case .deviceRead:
                #expect(guest.holds(page, except: [0: 0x9ABC_DEF0, 4: 0x1234_5678]))
            }
            let request = PageSource.Request(page: page, requestClass: .vCPU, lane: .urgent(0))
            #expect(guest.source.requests == [request], "\(instruction)")
            let faults = guest.memory.faults.totals
            #expect(faults.userfaultsByVCPUs == 1, "\(instruction)")
            #expect(faults.userfaultsByOthers == 0, "\(instruction)")
            #expect(faults.exits == 0, "\(instruction)")
        }
    }

    @Test(arguments: HostFacts.exitPaths, HostFacts.ordinaryBackings)
    func `a vCPU exits on a page that the kernel waits for`(
        path: FaultPath,
        backing: Backing
    ) throws {
        let guest = try ArrivingGuest(path, backing, vCPUCount: 2)
        defer { guest.end() }
        let page = PageIndex(30)
        guest.source.holdAnswers()
        let emulated = try guest.drive(0) { try $0.output(page) }
        try guest.awaitRequest(for: page)
        let direct = try guest.drive(1) { try $0.read(page) }
        #expect(eventually { guest.memory.faults.totals.exitsAwaited == 1 })
        guest.source.releaseAnswers()
        #expect(try emulated.value() == guest.source.word(of: page) & 0xFF)
        #expect(try direct.value() == guest.source.word(of: page))
        #expect(guest.source.requests.count == 1)
    }

    @Test(arguments: HostFacts.exitPaths, HostFacts.ordinaryBackings)
    func `a device's access comes by userfaultfd, and a vCPU waits with it`(
        path: FaultPath,
        backing: Backing
    ) throws {
        let guest = try ArrivingGuest(path, backing)
        defer { guest.end() }
        let page = PageIndex(30)
        guest.source.holdAnswers()
        let device = try guest.device { guest.word(page, at: 8) }
        try guest.awaitRequest(for: page)
        let vCPU = try guest.drive { try $0.read(page) }
        #expect(eventually { guest.memory.faults.totals.exitsAwaited == 1 })
        #expect(device.goesOn(for: .milliseconds(20)))
        guest.source.releaseAnswers()
        #expect(try device.value() == guest.source.word(of: page, at: 8))
        #expect(try vCPU.value() == guest.source.word(of: page))
        let request = PageSource.Request(
            page: page,
            requestClass: .kernelOrDevice,
            lane: .urgent(0)
        )
        #expect(guest.source.requests == [request])
        let faults = guest.memory.faults.totals
        #expect(faults.userfaultsByOthers == 1)
        #expect(faults.userfaultsByVCPUs == 0)
        #expect(faults.exits == 1)
    }

    @Test(arguments: HostFacts.exitPaths, HostFacts.ordinaryBackings)
    func `a device that waits for a page which a vCPU installs is woken`(
        path: FaultPath,
        backing: Backing
    ) throws {
        let guest = try ArrivingGuest(path, backing)
        defer { guest.end() }
        let page = PageIndex(30)
        guest.source.holdAnswers()
        let vCPU = try guest.drive { try $0.read(page) }
        try guest.awaitRequest(for: page)
        let device = try guest.device { guest.word(page, at: 8) }
        #expect(eventually { guest.memory.faults.totals.userfaultsByOthers == 1 })
        #expect(device.goesOn(for: .milliseconds(20)))
        guest.source.releaseAnswers()
        #expect(try vCPU.value() == guest.source.word(of: page))
        #expect(try device.value() == guest.source.word(of: page, at: 8))
        #expect(guest.source.requests.map(\.lane) == [.urgent(1)])
        #expect(guest.memory.totals.duplicate == 0)
    }

    @Test(arguments: HostFacts.exitPaths, HostFacts.ordinaryBackings)
    func `a device and a vCPU that race through the same pages are both served`(
        path: FaultPath,
        backing: Backing
    ) throws {
        let guest = try ArrivingGuest(path, backing)
        defer { guest.end() }
        let pages = (16..<416).map { PageIndex($0) }
        // At every other page one of them writes; what the other one reads stays alone.
        let vCPU = try guest.drive { vCPU in
            try pages.map { page in
                if page.rawValue % 2 == 0 { try vCPU.write(0xA905, to: page, offset: 8) }
                return try vCPU.read(page, offset: 64)
            }
        }
        let device = try guest.device {
            pages.map { page in
                if page.rawValue % 2 == 1 { guest.setWord(page, at: 16, to: 0xA906) }
                return guest.word(page, at: 128)
            }
        }
        #expect(try vCPU.value() == pages.map { guest.source.word(of: $0, at: 64) })
        #expect(try device.value() == pages.map { guest.source.word(of: $0, at: 128) })
        for page in pages {
            let written = page.rawValue % 2 == 0 ? [8: UInt32(0xA905)] : [16: 0xA906]
            #expect(guest.holds(page, except: written), "\(page)")
        }
        #expect(guest.source.requests.count == pages.count)
        #expect(guest.memory.totals.duplicate == 0)
    }
}
