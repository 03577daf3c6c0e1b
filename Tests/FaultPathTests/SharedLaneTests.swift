// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import KVM
import MigrationDestination
import MigrationWire
import TestSupport
import Testing
import Transport

/// More vCPUs than urgent lanes.
extension FaultPathTests {
    @Test(arguments: HostFacts.exitPaths)
    func `vCPUs that share a lane fetch their own pages`(path: FaultPath) throws {
        let guest = try ArrivingGuest(path, .memfd, vCPUCount: 4, vCPULanes: 2)
        defer { guest.end() }
        let walks = try (0..<4).map { index in
            try guest.drive(index) { vCPU in
                try (0..<64).map { try vCPU.read(PageIndex(16 + 4 * $0 + index)) }
            }
        }
        for (index, walk) in walks.enumerated() {
            let pages = (0..<64).map { PageIndex(16 + 4 * $0 + index) }
            #expect(try walk.value() == pages.map { guest.source.word(of: $0) })
            let lanes = Set(pages.flatMap { guest.source.requests(for: $0) }.map(\.lane))
            #expect(lanes == [.urgent(UInt8(1 + index % 2))])
        }
        #expect(guest.source.requests.count == 256)
        #expect(guest.memory.totals.duplicate == 0)
        #expect(guest.memory.faults.totals.userfaultsByVCPUs == 0)
    }

    @Test(arguments: HostFacts.exitPaths)
    func `many requests are under way on a shared lane at once`(path: FaultPath) throws {
        let guest = try ArrivingGuest(path, vCPUCount: 3, vCPULanes: 1)
        defer { guest.end() }
        guest.source.holdAnswers()
        let pages = [30, 40, 50].map { PageIndex($0) }
        let vCPUs = try (0..<3).map { index in
            try guest.drive(index) { try $0.read(pages[index]) }
        }
        #expect(eventually { guest.memory.totals.requestsSent == 3 })
        // One whose page the stream brings is called away from the lane, if it does not receive.
        try guest.stream([pages[1]])
        guest.source.releaseAnswers()
        for (page, vCPU) in zip(pages, vCPUs) {
            #expect(try vCPU.value() == guest.source.word(of: page))
        }
        // Whatever was left unread is read with the next answers.
        let next = PageIndex(60)
        for vCPU in 0..<3 {
            let page = PageIndex(next.rawValue + vCPU)
            let value = try guest.drive(vCPU) { try $0.read(page) }.value()
            #expect(value == guest.source.word(of: page))
        }
    }

    @Test(arguments: HostFacts.exitPaths)
    func `all vCPUs of a shared lane come back when it ends`(path: FaultPath) throws {
        let guest = try ArrivingGuest(path, vCPUCount: 3, vCPULanes: 1)
        defer { guest.end() }
        guest.source.holdAnswers()
        let vCPUs = try (0..<3).map { index in
            try guest.drive(index) { try $0.read(PageIndex(30 + index)) }
        }
        #expect(eventually { guest.memory.totals.requestsSent == 3 })
        guest.cutLane(of: 0)
        #expect(eventually { guest.memory.failure.error == .lane(.closed(.urgent(1))) })
        // One page comes by the stream, the others never.
        try guest.stream([PageIndex(31)])
        #expect(try vCPUs[1].value() == guest.source.word(of: PageIndex(31)))
        guest.end()
        for index in [0, 2] {
            #expect(throws: CommandedVCPU.Stop.self) { try vCPUs[index].value() }
        }
    }
}
