// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import LinuxSystem
import TestSupport
import Testing

@Suite struct GuestRAMTests {
    private static let pageCount = 40

    private func makeRAM(_ backing: Backing) throws -> GuestRAM {
        try GuestRAM(
            layout: GuestLayout.pc(byteCount: Self.pageCount * 4096),
            backing: backing
        )
    }

    private func range(_ first: Int, _ count: Int) -> PageRange {
        PageRange(first: PageIndex(first), count: count)
    }

    @Test func `pages filled behind the mapping appear in it`() throws {
        let ram = try makeRAM(.memfd)
        var random = SeededGenerator(seed: 1)
        for page in [0, 7, 8, 38] {
            let contents =
                PageContents.incompressible.bytes(using: &random)
                + PageContents.incompressible.bytes(using: &random)
            try fill(ram, range(page, 2), with: contents)
            #expect(unsafe Array(ram.bytes(of: range(page, 2))) == contents)
        }
        #expect(unsafe ram.bytes(of: range(2, 5)).allSatisfy { $0 == 0 })
    }

    private func fill(_ ram: GuestRAM, _ range: PageRange, with contents: [UInt8]) throws {
        try unsafe contents.withUnsafeBytes { unsafe try ram.fillBehind(range, with: $0) }
    }

    @Test(arguments: HostFacts.backings)
    func `pages are written over, copied out and dropped`(backing: Backing) throws {
        let ram = try GuestRAM(layout: GuestLayout.pc(byteCount: 4 << 20), backing: backing)
        let hostPage = backing.pagesPerHostPage
        let all = unsafe ram.bytes(of: range(0, 1024))
        for index in 0..<1024 { unsafe all[index * 4096] = 7 }
        var random = SeededGenerator(seed: 2)
        let contents = PageContents.incompressible.bytes(using: &random)
        try unsafe contents.withUnsafeBytes { unsafe try ram.overwrite(range(3, 1), with: $0) }
        #expect(unsafe Array(ram.bytes(of: range(3, 1))) == contents)
        var copy = [UInt8](repeating: 0, count: 4096)
        try unsafe copy.withUnsafeMutableBytes { unsafe try ram.copy(range(3, 1), into: $0) }
        #expect(copy == contents)
        try ram.discard(range(0, hostPage))
        if hostPage == 1 { try ram.discard(range(3, 1)) }
        for index in [0, 3] { #expect(unsafe all[index * 4096] == 0, "page \(index)") }
        #expect(unsafe all[1000 * 4096] == 7)
    }

    @Test func `what this process writes is noted`() throws {
        let ram = try makeRAM(.anonymous)
        ram.noteWritten(range(3, 2))
        ram.noteWritten(range(4, 1))
        #expect(ram.written.takeBits(ofWord: 0) == 0b11000)
        #expect(ram.written.takeBits(ofWord: 0) == 0)
    }

    @Test(arguments: HostFacts.ordinaryBackings)
    func `memory is zero at first and keeps what is written`(backing: Backing) throws {
        let ram = try makeRAM(backing)
        #expect(unsafe ram.bytes(of: range(0, Self.pageCount)).allSatisfy { $0 == 0 })
        unsafe ram.bytes(of: range(39, 1))[4095] = 1
        #expect(unsafe ram.bytes(of: range(0, Self.pageCount))[40 * 4096 - 1] == 1)
    }

    @Test(arguments: HostFacts.ordinaryBackings)
    func `a host address leads to its page, and to none outside`(backing: Backing) throws {
        let ram = try makeRAM(backing)
        let base = ram.mapping.address
        #expect(ram.page(atHostAddress: base) == PageIndex(0))
        #expect(ram.page(atHostAddress: base + 4095) == PageIndex(0))
        #expect(ram.page(atHostAddress: base + 4096) == PageIndex(1))
        #expect(ram.page(atHostAddress: base + 40 * 4096 - 1) == PageIndex(39))
        #expect(ram.page(atHostAddress: base + 40 * 4096) == nil)
        #expect(ram.page(atHostAddress: base - 1) == nil)
        #expect(ram.page(atHostAddress: 0) == nil)
        #expect(ram.page(atHostAddress: .max) == nil)
    }

    @Test(.timeLimit(.minutes(1)))
    func `pages outside memory are a trap`() async {
        await #expect(processExitsWith: .failure) { try touch(first: 40, count: 1) }
        await #expect(processExitsWith: .failure) { try touch(first: 39, count: 2) }
        await #expect(processExitsWith: .failure) { try touch(first: -1, count: 1) }
        await #expect(processExitsWith: .failure) { try touch(first: 0, count: .max) }
        await #expect(processExitsWith: .failure) { try touch(first: .max, count: .max) }
        await #expect(processExitsWith: .failure) { try touch(first: 0, count: 0) }
    }

    @Test func `huge pages hold a guest only whole, and only as many as there are`() throws {
        let odd = try GuestLayout.pc(byteCount: 3 << 20)
        #expect(try #require(GuestRAM.obstacle(to: odd, .hugetlb)).contains("2 MiB"))
        let large = try GuestLayout.pc(byteCount: 4 << 40)
        let text = try #require(GuestRAM.obstacle(to: large, .hugetlb))
        #expect(text.contains("2097152 of 2 MiB"))
        #expect(text.contains("vm.nr_hugepages"))
    }

    @Test(.enabled(if: HostFacts.runsHugePageTests, "needs 64 huge pages: vm.nr_hugepages"))
    func `huge pages are filled behind the mapping as others are`() throws {
        let layout = try GuestLayout.pc(byteCount: 8 << 20)
        #expect(GuestRAM.obstacle(to: layout, .hugetlb) == nil)
        let ram = try GuestRAM(layout: layout, backing: .hugetlb)
        #expect(ram.hostPage(of: PageIndex(1023)) == range(512, 512))
        var contents = [UInt8](repeating: 0, count: 4096)
        contents[7] = 0xA9
        try fill(ram, range(700, 1), with: contents)
        #expect(unsafe ram.bytes(of: range(700, 1))[7] == 0xA9)
        #expect(unsafe ram.bytes(of: range(512, 1))[0] == 0)
    }

    @Test func `a guest larger than the host is named with both sizes`() throws {
        let layout = try GuestLayout.pc(byteCount: 4 << 40)
        let text = try #require(GuestRAM.obstacle(to: layout, .anonymous))
        #expect(text.contains("4194304 MiB"))
        #expect(text.contains("available"))
        #expect(!text.contains("\n"))
        #expect(try GuestRAM.obstacle(to: GuestLayout.pc(byteCount: 4096), .memfd) == nil)
    }
}

private func touch(first: Int, count: Int) throws {
    let ram = try GuestRAM(layout: GuestLayout.pc(byteCount: 40 * 4096), backing: .memfd)
    _ = unsafe ram.bytes(of: PageRange(first: PageIndex(first), count: count))
}
