// SPDX-License-Identifier: Apache-2.0

import Glibc
import GuestMemory
import LinuxSystem
import TestSupport
import Testing
import Userfault

private let page = GuestPage.byteCount

@Suite(
    .enabled(
        if: HostFacts.runsUserfaultTests,
        "needs userfaultfd: \(HostFacts.missingUserfaultfd ?? "")"
    )
)
struct UserfaultfdTests {
    private func noise(_ pages: Int = 1) -> [UInt8] {
        var random = SeededGenerator(seed: 9)
        return (0..<pages).flatMap { _ in PageContents.incompressible.bytes(using: &random) }
    }

    @Test func `this host has userfaultfd`() {
        #expect(HostFacts.missingUserfaultfd == nil)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a thread that touches an absent page sleeps until it is copied in`() throws {
        let mapping = try Mapping(.anonymous, byteCount: 8 * page)
        let registration = try Registration(mapping, for: .missing)
        let target = mapping.address + UInt(3 * page)
        let toucher = try Toucher(address: target + 100, byteCount: 200)
        let events = try registration.events()
        #expect(events.map(\.address) == [target])
        #expect(events.map(\.threadID) == [toucher.threadID])
        usleep(20_000)
        #expect(!toucher.hasEnded)
        let contents = noise()
        #expect(try registration.copy(contents, to: target) == .installed)
        #expect(toucher.finish() == Array(contents[100..<300]))
    }

    @Test(.timeLimit(.minutes(1)))
    func `a zero page wakes as well`() throws {
        let mapping = try Mapping(.anonymous, byteCount: 8 * page)
        let registration = try Registration(mapping, for: .missing)
        let toucher = try Toucher(address: mapping.address, byteCount: 2 * page)
        #expect(try registration.events().map(\.address) == [mapping.address])
        let outcome = try registration.userfault.zero(
            address: mapping.address,
            byteCount: 2 * page
        )
        #expect(outcome == .installed)
        #expect(toucher.finish() == [UInt8](repeating: 0, count: 2 * page))
    }

    @Test(.timeLimit(.minutes(1)))
    func `several pages go in with one call`() throws {
        let mapping = try Mapping(.anonymous, byteCount: 64 * page)
        let registration = try Registration(mapping, for: .missing)
        let contents = noise(64)
        let toucher = try Toucher(address: mapping.address, byteCount: 64 * page)
        _ = try registration.events()
        #expect(try registration.copy(contents, to: mapping.address) == .installed)
        let isSame = toucher.finish() == contents
        #expect(isSame)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a page that is present is not overwritten`() throws {
        let mapping = try Mapping(.anonymous, byteCount: 4 * page)
        let registration = try Registration(mapping, for: .missing)
        let first = noise()
        let second = [UInt8](repeating: 7, count: page)
        #expect(try registration.copy(first, to: mapping.address) == .installed)
        #expect(try registration.copy(second, to: mapping.address) == .alreadyPresent)
        let userfault = registration.userfault
        #expect(try userfault.zero(address: mapping.address, byteCount: page) == .alreadyPresent)
        let toucher = try Toucher(address: mapping.address, byteCount: page)
        #expect(toucher.finish() == first)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a run stops before a page that is present, and says how far it came`() throws {
        let mapping = try Mapping(.anonymous, byteCount: 8 * page)
        let registration = try Registration(mapping, for: .missing)
        let middle = mapping.address + UInt(3 * page)
        #expect(try registration.copy(noise(), to: middle) == .installed)
        let four = [UInt8](repeating: 1, count: 4 * page)
        let partly = InstallOutcome.partly(byteCount: 3 * page)
        #expect(try registration.copy(four, to: mapping.address) == partly)
        let userfault = registration.userfault
        let rest = mapping.address + UInt(4 * page)
        let last = mapping.address + UInt(7 * page)
        #expect(try userfault.zero(address: last, byteCount: page) == .installed)
        #expect(try userfault.zero(address: rest, byteCount: 4 * page) == partly)
    }

    @Test(.timeLimit(.minutes(1)))
    func `memfd pages are filled behind the mapping, then mapped`() throws {
        let ram = try GuestRAM(layout: GuestLayout.pc(byteCount: 8 * page), backing: .memfd)
        let registration = try Registration(ram.mapping, for: .missingAndMinor)
        let range = PageRange(first: PageIndex(2), count: 2)
        let target = ram.mapping.address + UInt(2 * page)
        let toucher = try Toucher(address: target, byteCount: 2 * page)
        // Missing: not even the page cache has it.
        let events = try registration.events()
        #expect(events.map(\.address) == [target])
        #expect(events.map(\.threadID) == [toucher.threadID])
        let contents = noise(2)
        try unsafe contents.withUnsafeBytes { unsafe try ram.fillBehind(range, with: $0) }
        usleep(10_000)
        #expect(!toucher.hasEnded)
        let userfault = registration.userfault
        #expect(try userfault.continue(address: target, byteCount: 2 * page) == .installed)
        #expect(toucher.finish() == contents)
        #expect(try userfault.continue(address: target, byteCount: page) == .alreadyPresent)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a memfd page that is in the page cache already is reported too`() throws {
        let ram = try GuestRAM(layout: GuestLayout.pc(byteCount: 8 * page), backing: .memfd)
        let registration = try Registration(ram.mapping, for: .missingAndMinor)
        let contents = noise()
        let range = PageRange(first: PageIndex(0), count: 1)
        try unsafe contents.withUnsafeBytes { unsafe try ram.fillBehind(range, with: $0) }
        let toucher = try Toucher(address: ram.mapping.address, byteCount: page)
        #expect(try registration.events().count == 1)
        #expect(!toucher.hasEnded)
        let outcome = try registration.userfault.continue(
            address: ram.mapping.address,
            byteCount: page
        )
        #expect(outcome == .installed)
        #expect(toucher.finish() == contents)
    }

    @Test(.timeLimit(.minutes(1)))
    func `to continue where the page cache has nothing is an error, not a page`() throws {
        let ram = try GuestRAM(layout: GuestLayout.pc(byteCount: 4 * page), backing: .memfd)
        let registration = try Registration(ram.mapping, for: .missingAndMinor)
        #expect(throws: SystemError(code: EFAULT, operation: "ioctl(UFFDIO_CONTINUE)")) {
            try registration.userfault.continue(address: ram.mapping.address, byteCount: page)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `each event names the thread that waits`() throws {
        let mapping = try Mapping(.anonymous, byteCount: 8 * page)
        let registration = try Registration(mapping, for: .missing)
        let touchers = try (0..<4).map { number in
            try Toucher(address: mapping.address + UInt(number * page), byteCount: 1)
        }
        var seen: [UInt: CInt] = [:]
        while seen.count < 4 {
            let events = try registration.events()
            if events.isEmpty { break }
            for event in events { seen[event.address] = event.threadID }
        }
        for (number, toucher) in touchers.enumerated() {
            #expect(seen[mapping.address + UInt(number * page)] == toucher.threadID)
        }
        let userfault = registration.userfault
        #expect(try userfault.zero(address: mapping.address, byteCount: 4 * page) == .installed)
        for toucher in touchers { _ = toucher.finish() }
    }

    @Test(.timeLimit(.minutes(1)))
    func `to end the registration wakes whoever sleeps`() throws {
        let mapping = try Mapping(.anonymous, byteCount: 2 * page)
        let userfault = try Userfaultfd(for: .missing)
        try userfault.register(address: mapping.address, byteCount: 2 * page, mode: .missing)
        let toucher = try Toucher(address: mapping.address, byteCount: page)
        _ = try waitUntilReadable([userfault.rawDescriptor], timeout: .seconds(20))
        #expect(!toucher.hasEnded)
        try userfault.unregister(address: mapping.address, byteCount: 2 * page)
        #expect(toucher.finish() == [UInt8](repeating: 0, count: page))
    }

    @Test(.timeLimit(.minutes(1)))
    func `who is woken without a page looks again and is reported again`() throws {
        let mapping = try Mapping(.anonymous, byteCount: 2 * page)
        let registration = try Registration(mapping, for: .missing)
        let toucher = try Toucher(address: mapping.address, byteCount: 1)
        #expect(try registration.events().count == 1)
        try registration.userfault.wake(address: mapping.address, byteCount: page)
        #expect(try registration.events().map(\.threadID) == [toucher.threadID])
        #expect(try registration.copy(noise(), to: mapping.address) == .installed)
        _ = toucher.finish()
    }

    @Test(.timeLimit(.minutes(1)))
    func `the kernel's own touches are reported`() throws {
        let mapping = try Mapping(.anonymous, byteCount: 2 * page)
        let registration = try Registration(mapping, for: .missing)
        let address = mapping.address
        let threads = ThreadGroup()
        defer { threads.joinAll() }
        try threads.start("test-kernel") {
            // read(2) stores into the page: a fault in kernel mode.
            guard let zero = try? FileDescriptor(opening: "/dev/zero", flags: O_RDONLY)
            else { return }
            _ = unsafe read(zero.rawValue, UnsafeMutableRawPointer(bitPattern: address), 16)
        }
        #expect(try registration.events().map(\.address) == [address])
        #expect(try registration.copy(noise(), to: address) == .installed)
    }

    @Test func `a read when nothing waits brings nothing`() throws {
        let mapping = try Mapping(.anonymous, byteCount: page)
        let registration = try Registration(mapping, for: .missing)
        var batch = FaultBatch(capacity: 4)
        try registration.userfault.read(into: &batch)
        #expect(batch.count == 0)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a batch of one event leaves the others for the next read`() throws {
        let mapping = try Mapping(.anonymous, byteCount: 8 * page)
        let registration = try Registration(mapping, for: .missing)
        let touchers = try (0..<3).map { number in
            try Toucher(address: mapping.address + UInt(number * page), byteCount: 1)
        }
        var batch = FaultBatch(capacity: 1)
        var seen: Set<UInt> = []
        for _ in touchers {
            let descriptor = registration.userfault.rawDescriptor
            _ = try waitUntilReadable([descriptor], timeout: .seconds(20))
            try registration.userfault.read(into: &batch)
            #expect(batch.count == 1)
            if batch.count == 1, let event = batch[0] { seen.insert(event.address) }
        }
        #expect(seen.count == 3)
        _ = try registration.userfault.zero(address: mapping.address, byteCount: 3 * page)
        for toucher in touchers { _ = toucher.finish() }
    }

    @Test func `memory that is not registered, or not there, is an error with its call`() throws {
        let mapping = try Mapping(.anonymous, byteCount: 4 * page)
        let registration = try Registration(mapping, for: .missing)
        let other = try Mapping(.anonymous, byteCount: page)
        #expect(throws: SystemError(code: ENOENT, operation: "ioctl(UFFDIO_COPY)")) {
            try registration.copy(noise(), to: other.address)
        }
        #expect(throws: SystemError(code: EINVAL, operation: "ioctl(UFFDIO_COPY)")) {
            try registration.copy(noise(), to: mapping.address + 1)
        }
        #expect(throws: SystemError(code: EINVAL, operation: "ioctl(UFFDIO_REGISTER)")) {
            try registration.userfault.register(address: 1, byteCount: page, mode: .missing)
        }
    }

    @Test func `an event outside the batch is a trap`() async {
        await #expect(processExitsWith: .failure) { _ = FaultBatch(capacity: 4)[0] }
        await #expect(processExitsWith: .failure) { _ = FaultBatch(capacity: 4)[-1] }
    }
}
