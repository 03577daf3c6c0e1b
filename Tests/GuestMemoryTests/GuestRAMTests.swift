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

    @Test func `bytes written through the alias appear in the mapping`() throws {
        let ram = try makeRAM(.memfd)
        var random = SeededGenerator(seed: 1)
        for page in [0, 7, 8, 39] {
            let contents = PageContents.incompressible.bytes(using: &random)
            unsafe ram.aliasBytes(of: range(page, 1))?.copyBytes(from: contents)
            #expect(unsafe Array(ram.bytes(of: range(page, 1))) == contents)
        }
        #expect(unsafe ram.bytes(of: range(1, 6)).allSatisfy { $0 == 0 })
    }

    @Test func `bytes written in the mapping appear through the alias`() throws {
        let ram = try makeRAM(.memfd)
        unsafe ram.bytes(of: range(3, 2))[4096] = 0x5A
        #expect(unsafe ram.aliasBytes(of: range(4, 1))?[0] == 0x5A)
    }

    @Test func `to release the alias keeps the contents, and it can be used again`() throws {
        let ram = try makeRAM(.memfd)
        var random = SeededGenerator(seed: 2)
        let contents = PageContents.incompressible.bytes(using: &random)
        unsafe ram.aliasBytes(of: range(5, 1))?.copyBytes(from: contents)
        try ram.releaseAlias()
        #expect(unsafe Array(ram.bytes(of: range(5, 1))) == contents)
        #expect(unsafe ram.aliasBytes(of: range(5, 1)).map { unsafe Array($0) } == contents)
        unsafe ram.aliasBytes(of: range(6, 1))?.copyBytes(from: contents)
        #expect(unsafe Array(ram.bytes(of: range(6, 1))) == contents)
    }

    @Test func `anonymous memory has no alias, and to release it is nothing`() throws {
        let ram = try makeRAM(.anonymous)
        #expect(unsafe ram.aliasBytes(of: range(0, 1)) == nil)
        try ram.releaseAlias()
    }

    @Test(arguments: Backing.allCases)
    func `memory is zero at first and keeps what is written`(backing: Backing) throws {
        let ram = try makeRAM(backing)
        #expect(unsafe ram.bytes(of: range(0, Self.pageCount)).allSatisfy { $0 == 0 })
        unsafe ram.bytes(of: range(39, 1))[4095] = 1
        #expect(unsafe ram.bytes(of: range(0, Self.pageCount))[40 * 4096 - 1] == 1)
    }

    @Test(arguments: Backing.allCases)
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

    @Test func `a guest larger than the host is named with both sizes`() throws {
        let layout = try GuestLayout.pc(byteCount: 4 << 40)
        let text = try #require(GuestRAM.shortage(of: layout))
        #expect(text.contains("4194304 MiB"))
        #expect(text.contains("available"))
        #expect(!text.contains("\n"))
        #expect(try GuestRAM.shortage(of: GuestLayout.pc(byteCount: 4096)) == nil)
    }
}

private func touch(first: Int, count: Int) throws {
    let ram = try GuestRAM(layout: GuestLayout.pc(byteCount: 40 * 4096), backing: .memfd)
    _ = unsafe ram.aliasBytes(of: PageRange(first: PageIndex(first), count: count))
}
