// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import KVM
import MigrationDestination
import MigrationWire
import TestSupport
import Testing

/// What becomes of each kind of touch of guest memory during postcopy: the rows and columns of the
/// table in ARCHITECTURE.md, on every way to memory-fault exits that this kernel has.
///
/// The suites are extensions of this one, so that tests run one after the other.
@Suite(
    .serialized,
    .timeLimit(.minutes(2)),
    .enabled(
        if: HostFacts.runsExitTests,
        "this kernel has no memory-fault exits: neither nowait nor attributes"
    )
)
struct FaultPathTests {
    @Test func `this kernel has memory-fault exits`() {
        #expect(!HostFacts.exitPaths.isEmpty)
        if HostFacts.testbedKernel == "nowait" { #expect(HostFacts.exitPaths.contains(.nowait)) }
        if HostFacts.testbedKernel != nil { #expect(HostFacts.exitPaths.contains(.attributes)) }
    }

    @Test(arguments: HostFacts.exitPaths, HostFacts.ordinaryBackings)
    func `a touch of an absent page is an exit that the vCPU serves itself`(
        path: FaultPath,
        backing: Backing
    ) throws {
        let guest = try ArrivingGuest(path, backing)
        defer { guest.end() }
        let touched = (16..<48).map { PageIndex($0) }
        let values = try guest.drive { vCPU in
            try touched.map { page in
                if page.rawValue % 4 != 3 { return try vCPU.read(page, offset: 8) }
                try vCPU.write(0xA905, to: page, offset: 8)
                return 0xA905
            }
        }.value()
        for (page, value) in zip(touched, values) {
            let isWritten = page.rawValue % 4 == 3
            #expect(value == (isWritten ? 0xA905 : guest.source.word(of: page, at: 8)))
            #expect(guest.holds(page, except: isWritten ? [8: 0xA905] : [:]), "\(page)")
        }
        let requests = touched.map {
            PageSource.Request(page: $0, requestClass: .vCPU, lane: .urgent(1))
        }
        #expect(guest.source.requests == requests)
        let faults = guest.memory.faults.totals
        #expect(faults.exits == touched.count)
        #expect(faults.exitsAwaited == 0)
        #expect(faults.exitsOnInstalled == 0)
        #expect(faults.userfaultsByVCPUs == 0)
        #expect(faults.userfaultsByOthers == 0)
        #expect(guest.memory.totals.duplicate == 0)
    }

    @Test(arguments: HostFacts.exitPaths, HostFacts.ordinaryBackings)
    func `a zero page is read, and written later`(path: FaultPath, backing: Backing) throws {
        let page = PageIndex(30)
        let guest = try ArrivingGuest(path, backing, zeroPages: [page])
        defer { guest.end() }
        let value = try guest.drive { vCPU in
            let value = try vCPU.read(page)
            try vCPU.write(0xA905, to: page, offset: 16)
            return value
        }.value()
        #expect(value == 0)
        #expect(guest.holds(page, except: [16: 0xA905]))
        #expect(guest.source.requests.count == 1)
        let faults = guest.memory.faults.totals
        #expect(faults.userfaultsByVCPUs == 0)
        // Anonymous memory gets the one zero page of the kernel, which cannot be written.
        let isRepaired = path == .nowait && backing == .anonymous
        #expect(faults.exits == (isRepaired ? 2 : 1))
        #expect(faults.exitsOnInstalled == (isRepaired ? 1 : 0))
        #expect(faults.populated == (isRepaired ? 1 : 0))
    }

    @Test(arguments: HostFacts.exitPaths, HostFacts.ordinaryBackings)
    func `two vCPUs that touch one absent page make one request`(
        path: FaultPath,
        backing: Backing
    ) throws {
        let guest = try ArrivingGuest(path, backing, vCPUCount: 2)
        defer { guest.end() }
        let page = PageIndex(30)
        guest.source.holdAnswers()
        let first = try guest.drive(0) { try $0.read(page) }
        try guest.awaitRequest(for: page)
        let second = try guest.drive(1) { try $0.read(page, offset: 64) }
        #expect(eventually { guest.memory.faults.totals.exitsAwaited == 1 })
        #expect(first.goesOn(for: .milliseconds(20)))
        #expect(second.goesOn(for: .milliseconds(20)))
        guest.source.releaseAnswers()
        #expect(try first.value() == guest.source.word(of: page))
        #expect(try second.value() == guest.source.word(of: page, at: 64))
        #expect(guest.source.requests.count == 1)
        #expect(guest.memory.faults.totals.exits == 2)
        #expect(guest.memory.faults.totals.userfaultsByVCPUs == 0)
    }

    @Test(arguments: HostFacts.exitPaths, HostFacts.ordinaryBackings)
    func `two vCPUs that race through the same pages request each once`(
        path: FaultPath,
        backing: Backing
    ) throws {
        let guest = try ArrivingGuest(path, backing, vCPUCount: 2)
        defer { guest.end() }
        let pages = (16..<216).map { PageIndex($0) }
        let walks = try (0..<2).map { index in
            try guest.drive(index) { vCPU in
                try pages.map { try vCPU.read($0, offset: index * 128) }
            }
        }
        for (index, walk) in walks.enumerated() {
            let expected = pages.map { guest.source.word(of: $0, at: index * 128) }
            #expect(try walk.value() == expected)
        }
        #expect(guest.source.requests.count == pages.count)
        #expect(guest.memory.totals.duplicate == 0)
        #expect(guest.memory.faults.totals.userfaultsByVCPUs == 0)
    }
}
