// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import KVM
internal import LinuxSystem
internal import MigrationDestination
internal import MigrationWire
internal import Userfault

/// Guest memory as a destination has it before the first page comes, without a guest in it.
struct AbsentMemory {
    let ram: GuestRAM
    let userfault: Userfaultfd
    let incoming: IncomingMemory

    /// - Parameters:
    ///   - pageCount: Pages, all absent.
    ///   - backing: What they are made of.
    ///   - vCPUs: Of those that would touch them.
    /// - Throws: What this host lacks, or refuses.
    init(pageCount: Int, _ backing: Backing, vCPUs: Int = 1) throws {
        let layout = try GuestLayout.pc(byteCount: pageCount << GuestPage.shift)
        ram = try GuestRAM(layout: layout, backing: backing)
        userfault = try Userfaultfd(for: Userfaultfd.Mode(for: backing))
        // Installs tell the VM's exits, of which there are none on this path.
        let exits = try FaultExits.probe(.userfault, on: KVMSystem(), layout: layout).exits
        incoming = try IncomingMemory(
            of: ram,
            exits: exits,
            userfault: userfault,
            streams: 1,
            vCPUs: vCPUs
        )
    }

    /// The first page that does not hold what the pattern says; nil when all do.
    ///
    /// None may be absent: nobody would bring it.
    ///
    /// - Parameters:
    ///   - pattern: What pages are full of.
    ///   - period: The number of a page is taken modulo this.
    /// - Returns: The page.
    /// - Throws: ``SystemError`` when there is no memory to compare with.
    func firstWrong(_ pattern: PagePattern, period: Int) throws -> PageIndex? {
        let page = try Mapping(.anonymous, byteCount: GuestPage.byteCount)
        let expected = unsafe UnsafeMutableRawBufferPointer(
            start: page.base,
            count: page.byteCount
        )
        // A few of them: the rest has come the same way.
        for number in stride(from: 0, to: ram.layout.pageCount, by: 61) {
            unsafe pattern.fill(expected, of: PageIndex(number % period))
            let found = unsafe ram.bytes(of: PageRange(first: PageIndex(number), count: 1))
            guard unsafe found.elementsEqual(expected) else { return PageIndex(number) }
        }
        return nil
    }
}
