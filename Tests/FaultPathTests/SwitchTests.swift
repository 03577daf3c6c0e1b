// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import KVM
import LinuxSystem
import MigrationDestination
import TestSupport
import Testing

/// When exits are on.
extension FaultPathTests {
    @Test(arguments: HostFacts.exitPaths, HostFacts.ordinaryBackings)
    func `exits begin when they are armed`(path: FaultPath, backing: Backing) throws {
        let guest = try ArrivingGuest(path, backing, arming: .byTest)
        defer { guest.end() }
        let early = PageIndex(30)
        let late = PageIndex(31)
        #expect(try guest.drive { try $0.read(early) }.value() == guest.source.word(of: early))
        #expect(guest.memory.faults.totals.exits == 0)
        #expect(guest.memory.faults.totals.userfaultsByVCPUs == 1)
        try guest.exits.arm()
        // To arm makes all pages absent; these are not.
        let present = CommandedGuest.image.keys.map { PageIndex($0) } + [early]
        for page in present { try guest.exits.becamePresent(PageRange(first: page, count: 1)) }
        #expect(try guest.drive { try $0.read(late) }.value() == guest.source.word(of: late))
        #expect(guest.memory.faults.totals.exits == 1)
        #expect(guest.memory.faults.totals.userfaultsByVCPUs == 1)
    }

    @Test(arguments: HostFacts.exitPaths, HostFacts.ordinaryBackings)
    func `exits end when the last page is present and they are disarmed`(
        path: FaultPath,
        backing: Backing
    ) throws {
        let guest = try ArrivingGuest(path, backing)
        defer { guest.end() }
        let page = PageIndex(30)
        #expect(try guest.drive { try $0.read(page) }.value() == guest.source.word(of: page))
        let all = (0..<ArrivingGuest.pageCount).map { PageIndex($0) }
        try guest.stream(all)
        #expect(try isSignalled(guest.memory.complete))
        try guest.exits.disarm()
        try guest.memory.unregister()
        // A page that is not mapped is the kernel's own business again.
        switch backing {
        case .memfd: try guest.dropMapping(of: page)
        case .anonymous where Reclaim.hasSwap: try guest.swapOut(page)
        case .anonymous, .hugetlb: break
        }
        let value = try guest.drive { vCPU in
            try vCPU.write(0xA905, to: page, offset: 8)
            return try vCPU.read(page)
        }.value()
        #expect(value == guest.source.word(of: page))
        #expect(guest.holds(page, except: [8: 0xA905]))
        let faults = guest.memory.faults.totals
        #expect(faults.exits == 1)
        #expect(faults.userfaultsByVCPUs == 0)
        #expect(guest.memory.totals.duplicate == CommandedGuest.image.count + 1)
    }

    private func isSignalled(_ event: EventFD) throws -> Bool {
        try waitUntilReadable([event.rawDescriptor] as [CInt], timeout: .seconds(1))[0]
    }
}
