// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import KVM
import MigrationDestination
import MigrationWire
import TestSupport
import Testing

/// Guest memory of huge pages: requested, and made present, 2 MiB at a time.
extension FaultPathTests {
    @Suite(.enabled(if: HostFacts.runsHugePageTests, "needs 64 huge pages: vm.nr_hugepages"))
    struct HugePages {
        /// The second host page; the first holds the program.
        private static let first = PageIndex(512)
        private static let all = (512..<1024).map { PageIndex($0) }

        @Test(arguments: HostFacts.exitPaths)
        func `one touch brings all of a huge page`(path: FaultPath) throws {
            let guest = try ArrivingGuest(path, .hugetlb)
            defer { guest.end() }
            let touched = [700, 512, 1023, 701].map { PageIndex($0) }
            let values = try guest.drive { vCPU in
                try touched.map { try vCPU.read($0, offset: 8) }
            }.value()
            #expect(values == touched.map { guest.source.word(of: $0, at: 8) })
            #expect(Self.all.allSatisfy { guest.holds($0) })
            let request = PageSource.Request(
                page: Self.first,
                requestClass: .vCPU,
                lane: .urgent(1)
            )
            #expect(guest.source.requests == [request])
            let faults = guest.memory.faults.totals
            #expect(faults.exits == 1)
            #expect(faults.userfaultsByVCPUs == 0)
            #expect(guest.memory.totals.duplicate == 0)
            #expect(guest.memory.totals.requestsAnswered == 1)
            #expect(guest.memory.pages.remainingCount == 0)
        }

        @Test(arguments: HostFacts.exitPaths)
        func `an answer overtakes what of a huge page the stream has not brought`(
            path: FaultPath
        ) throws {
            let guest = try ArrivingGuest(path, .hugetlb)
            defer { guest.end() }
            try guest.stream(Array(Self.all[..<300]), until: .arriving)
            let page = PageIndex(600)
            let value = try guest.drive { vCPU in
                // This page has arrived, and must not be seen before the others.
                let value = try vCPU.read(page)
                try vCPU.write(0xA905, to: page, offset: 8)
                return value
            }.value()
            #expect(value == guest.source.word(of: page))
            #expect(guest.memory.faults.totals.exits == 1)
            #expect(guest.memory.totals.duplicate == 300)
            try guest.stream(Array(Self.all[300...]))
            #expect(eventually { guest.memory.totals.duplicate == 512 })
            #expect(guest.holds(page, except: [8: 0xA905]))
            #expect(Self.all.allSatisfy { $0 == page || guest.holds($0) })
        }

        @Test(arguments: HostFacts.exitPaths)
        func `all who touch one huge page make one request`(path: FaultPath) throws {
            let guest = try ArrivingGuest(path, .hugetlb, vCPUCount: 2)
            defer { guest.end() }
            let pages = [600, 900].map { PageIndex($0) }
            guest.source.holdAnswers()
            let first = try guest.drive(0) { try $0.read(pages[0]) }
            try guest.awaitRequest(for: Self.first)
            let vCPUs = [first, try guest.drive(1) { try $0.read(pages[1]) }]
            let device = try guest.device { guest.word(PageIndex(1000)) }
            #expect(eventually { guest.memory.faults.totals.exitsAwaited == 1 })
            #expect(eventually { guest.memory.faults.totals.userfaultsByOthers == 1 })
            // All but one page: nobody goes on.
            try guest.stream(Array(Self.all[..<511]), until: .arriving)
            for vCPU in vCPUs { #expect(vCPU.goesOn(for: .milliseconds(20))) }
            #expect(device.goesOn(for: .milliseconds(20)))
            guest.source.releaseAnswers()
            for (page, vCPU) in zip(pages, vCPUs) {
                #expect(try vCPU.value() == guest.source.word(of: page))
            }
            #expect(try device.value() == guest.source.word(of: PageIndex(1000)))
            #expect(guest.source.requests.count == 1)
        }

        @Test(arguments: HostFacts.exitPaths)
        func `the stream alone completes a huge page for who waits`(path: FaultPath) throws {
            let guest = try ArrivingGuest(path, .hugetlb, vCPUCount: 2)
            defer { guest.end() }
            guest.source.holdAnswers()
            let page = PageIndex(800)
            let asking = try guest.drive(0) { try $0.read(page) }
            try guest.awaitRequest(for: Self.first)
            let waiting = try guest.drive(1) { try $0.read(page) }
            #expect(eventually { guest.memory.faults.totals.exitsAwaited == 1 })
            try guest.stream(Self.all)
            #expect(try waiting.value() == guest.source.word(of: page))
            guest.source.releaseAnswers()
            #expect(try asking.value() == guest.source.word(of: page))
        }

        @Test(arguments: HostFacts.exitPaths)
        func `a huge page whose mapping was dropped is mapped again`(path: FaultPath) throws {
            let guest = try ArrivingGuest(path, .hugetlb)
            defer { guest.end() }
            let page = PageIndex(700)
            #expect(try guest.drive { try $0.read(page) }.value() == guest.source.word(of: page))
            try guest.dropMapping(of: page)
            #expect(try guest.drive { try $0.read(page) }.value() == guest.source.word(of: page))
            #expect(guest.source.requests.count == 1)
            // Whoever waited may be here before it is counted.
            #expect(eventually { guest.memory.faults.totals.continued == 1 })
            let faults = guest.memory.faults.totals
            #expect(faults.userfaultsByVCPUs + faults.exitsOnInstalled == 1)
        }
    }
}
