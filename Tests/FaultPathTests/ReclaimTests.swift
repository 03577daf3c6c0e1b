// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import KVM
import MigrationDestination
import TestSupport
import Testing

/// Touches of pages that are installed, and that the kernel has taken from the page tables since.
extension FaultPathTests {
    @Test(arguments: HostFacts.exitPaths)
    func `a page whose mapping was dropped is mapped again from the page cache`(
        path: FaultPath
    ) throws {
        let page = PageIndex(30)
        let guest = try ArrivingGuest(path, .memfd)
        defer { guest.end() }
        try touchAgain(page, of: guest) { try guest.dropMapping(of: $0) }
        // Whoever waited may be here before it is counted.
        #expect(eventually { guest.memory.faults.totals.continued == 1 })
        let faults = guest.memory.faults.totals
        #expect(faults.populated == 0)
        switch path {
        case .nowait:
            #expect(faults.exits == 2)
            #expect(faults.exitsOnInstalled == 1)
            #expect(faults.userfaultsByVCPUs == 0)
        case .attributes, .userfault:
            // Its attribute is gone: KVM looks for the page itself, and finds userfaultfd.
            #expect(faults.exits == 1)
            #expect(faults.userfaultsByVCPUs == 1)
        }
    }

    @Test(
        .enabled(if: Reclaim.runsSwapTests, "needs swap: deploy/testbed/run --swap 256"),
        arguments: HostFacts.exitPaths
    )
    func `a page of anonymous memory that was swapped out is populated`(path: FaultPath) throws {
        let page = PageIndex(30)
        let guest = try ArrivingGuest(path, .anonymous)
        defer { guest.end() }
        try touchAgain(page, of: guest) { try guest.swapOut($0) }
        let faults = guest.memory.faults.totals
        #expect(faults.continued == 0)
        #expect(faults.userfaultsByVCPUs == 0)
        // On the attributes path, KVM swaps it in itself.
        #expect(faults.exits == (path == .nowait ? 2 : 1))
        #expect(faults.exitsOnInstalled == (path == .nowait ? 1 : 0))
        #expect(faults.populated == (path == .nowait ? 1 : 0))
    }

    @Test(
        .enabled(if: Reclaim.runsSwapTests, "needs swap: deploy/testbed/run --swap 256"),
        arguments: HostFacts.exitPaths
    )
    func `a page of a memfd that was swapped out is continued`(path: FaultPath) throws {
        let page = PageIndex(30)
        let guest = try ArrivingGuest(path, .memfd)
        defer { guest.end() }
        try touchAgain(page, of: guest) { try guest.swapOut($0) }
        // A huge page of the page cache goes out whole, with pages of the program in it. And whoever
        // waited may be here before it is counted.
        #expect(
            eventually {
                let faults = guest.memory.faults.totals
                let again = path == .nowait ? faults.exitsOnInstalled : faults.userfaultsByVCPUs
                return faults.continued >= 1 && faults.continued == again
            }
        )
        #expect(guest.memory.faults.totals.userfaultsByVCPUs == 0 || path != .nowait)
    }

    @Test(arguments: HostFacts.exitPaths)
    func `a dropped page that a device touches is mapped again for it`(path: FaultPath) throws {
        let page = PageIndex(30)
        let guest = try ArrivingGuest(path, .memfd)
        defer { guest.end() }
        try touchAgain(page, of: guest) { page in
            try guest.dropMapping(of: page)
            let value = try guest.device { guest.word(page, at: 128) }.value()
            #expect(value == guest.source.word(of: page, at: 128))
        }
        #expect(eventually { guest.memory.faults.totals.continued == 1 })
        let faults = guest.memory.faults.totals
        #expect(faults.userfaultsByOthers == 1)
        #expect(faults.exits == 1)
    }

    // MARK: Read-only memory

    @Test(arguments: HostFacts.exitPaths, HostFacts.ordinaryBackings)
    func `absent pages of a read-only region are read`(path: FaultPath, backing: Backing) throws {
        let guest = try ArrivingGuest(path, backing, zeroPages: [PageIndex(31)])
        defer { guest.end() }
        let pages = (30..<34).map { PageIndex($0) }
        try guest.makeReadOnly(pages)
        let values = try guest.drive { vCPU in try pages.map { try vCPU.read($0, offset: 8) } }
            .value()
        #expect(values == pages.map { guest.source.word(of: $0, at: 8) })
        #expect(guest.source.requests.map(\.page) == pages)
        let faults = guest.memory.faults.totals
        #expect(faults.exits == pages.count)
        #expect(faults.userfaultsByVCPUs == 0)
    }

    @Test(
        .enabled(if: Reclaim.runsSwapTests, "needs swap: deploy/testbed/run --swap 256"),
        arguments: HostFacts.exitPaths
    )
    func `a page of a read-only region that was swapped out is populated for reading`(
        path: FaultPath
    ) throws {
        let page = PageIndex(30)
        let guest = try ArrivingGuest(path, .anonymous)
        defer { guest.end() }
        try guest.makeReadOnly([page])
        let before = try guest.drive { try $0.read(page) }.value()
        #expect(before == guest.source.word(of: page))
        try guest.swapOut(page)
        let after = try guest.drive { try $0.read(page) }.value()
        #expect(after == before)
        #expect(guest.source.requests.count == 1)
        let faults = guest.memory.faults.totals
        #expect(faults.exitsOnInstalled == (path == .nowait ? 1 : 0))
        #expect(faults.populated == (path == .nowait ? 1 : 0))
    }

    @Test(arguments: HostFacts.exitPaths)
    func `a dropped page of a read-only region is mapped again`(path: FaultPath) throws {
        let page = PageIndex(30)
        let guest = try ArrivingGuest(path, .memfd)
        defer { guest.end() }
        try guest.makeReadOnly([page])
        let before = try guest.drive { try $0.read(page) }.value()
        try guest.dropMapping(of: page)
        let after = try guest.drive { try $0.read(page) }.value()
        #expect(after == before)
        #expect(guest.source.requests.count == 1)
        #expect(guest.memory.faults.totals.continued == 1)
    }

    // MARK: Helpers

    /// Touches a page, takes it away, and touches it again, for reading and for writing.
    private func touchAgain(
        _ page: PageIndex,
        of guest: ArrivingGuest,
        after reclaim: (PageIndex) throws -> Void
    ) throws {
        try guest.drive { try $0.write(0xA905, to: page, offset: 8) }.value()
        try reclaim(page)
        let value = try guest.drive { vCPU in
            try vCPU.write(0xA906, to: page, offset: 16)
            return try vCPU.read(page, offset: 8)
        }.value()
        #expect(value == 0xA905)
        #expect(guest.holds(page, except: [8: 0xA905, 16: 0xA906]))
        #expect(guest.source.requests.count == 1)
        #expect(guest.memory.totals.duplicate == 0)
    }
}
