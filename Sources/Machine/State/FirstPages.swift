// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
package import GuestMemory
internal import KVM
package import MigrationWire

/// Which pages a saved machine touches first when it goes on.
extension Machine {
    /// Found from the registers, whatever they hold.
    ///
    /// First what KVM shares with the guest, and so touches when it takes the state over. Then of
    /// each vCPU the code, stack, data and descriptors that its registers point to, each behind the
    /// page tables that lead there. Then what the guest keeps writing. Last where its kernel begins:
    /// its interrupts and system calls lead into it.
    ///
    /// - Parameters:
    ///   - state: Of this machine, which is parked.
    ///   - hotPages: What the guest keeps writing.
    /// - Returns: Each page once, the most urgent first; some hundreds.
    package func firstPages(
        of state: WireMachineState,
        thenHot hotPages: [PageIndex] = []
    ) -> [PageIndex] {
        var pages = PageList()
        for vcpu in state.vcpus {
            for register in vcpu.msrs
            where Self.sharedWithKVM.contains(register.index) && register.value != 0 {
                pages.add(memory.layout.page(at: register.value & ~0xFFF))
            }
        }
        var kernel: UInt64?
        for vcpu in state.vcpus {
            guard
                let pointers = RegisterPointers(
                    registers: [UInt8](vcpu.regs),
                    special: [UInt8](vcpu.sregs)
                )
            else { continue }
            for address in pointers.addresses {
                _ = walk(to: address, pointers.addressing, &pages)
            }
            for register in vcpu.msrs where Self.pointers.contains(register.index) {
                let table = walk(to: register.value, pointers.addressing, &pages)
                if register.index == Self.systemCallEntry { kernel = kernel ?? table }
            }
        }
        for page in hotPages { pages.add(page) }
        if let kernel { addPages(of: kernel, atMost: 1, &pages) }
        return pages.list
    }

    /// The guest's kernel: all that the page tables map around its entry for system calls.
    ///
    /// Its code and its data as they were loaded, not what it has allocated since. For a parked
    /// machine.
    ///
    /// - Returns: Each page once, ``WireLimits/kernelPages`` at the most; none of a guest that has no
    ///   such entry, or whose tables of the moment do not map it by large pages.
    /// - Throws: What KVM refuses.
    package func kernelPages() throws(MachineError) -> [PageIndex] {
        var pages = PageList()
        do {
            let vcpu = vcpus[0].virtualCPU
            var entry = ModelSpecificRegisters(indices: [Self.systemCallEntry])
            guard try vcpu.read(&entry) == 1, entry.value(at: 0) != 0,
                let pointers = RegisterPointers(
                    registers: try vcpu.state(.registers),
                    special: try vcpu.state(.specialRegisters)
                ),
                let table = walk(to: entry.value(at: 0), pointers.addressing, &pages)
            else { return [] }
            addPages(of: table, atMost: WireLimits.kernelPages / 512, &pages)
        } catch {
            throw MachineError(error)
        }
        return Array(pages.list.prefix(WireLimits.kernelPages))
    }

    /// kvmclock's two pages, those of asynchronous page faults, of stolen time and of the end of
    /// interrupts: guest physical addresses with flags in their low bits
    /// (Documentation/virt/kvm/x86/msr.rst).
    private static let sharedWithKVM: ClosedRange<UInt32> = 0x4B56_4D00...0x4B56_4D04
    /// IA32_LSTAR.
    private static let systemCallEntry: UInt32 = 0xC000_0082
    /// Also IA32_KERNEL_GS_BASE, the kernel's data of this processor while a process runs.
    private static let pointers: Set<UInt32> = [systemCallEntry, 0xC000_0102]

    /// Adds the tables that lead to a virtual address, and the page there.
    ///
    /// - Returns: The table that maps the address by a large page of 2 MiB, if one does.
    private func walk(
        to address: UInt64,
        _ addressing: RegisterPointers.Addressing?,
        _ pages: inout PageList
    ) -> UInt64? {
        switch addressing {
        case nil: return nil
        case .physical:
            pages.add(memory.layout.page(at: address))
            return nil
        case .tables(let root, let levels):
            var table = root
            for level in (0..<levels).reversed() {
                pages.add(memory.layout.page(at: table))
                let shift = UInt64(GuestPage.shift + 9 * level)
                guard let entry = entry(Int(address >> shift & 0x1FF), ofTable: table) else {
                    return nil
                }
                if level > 0 && entry.isLarge {
                    let within = address & ((1 << shift) - 1)
                    pages.add(memory.layout.page(at: entry.address & ~((1 << shift) - 1) | within))
                    return level == 1 ? table : nil
                }
                table = entry.address
            }
            pages.add(memory.layout.page(at: table))
            return nil
        }
    }

    /// Adds what a table maps, by those of its entries that are present: large pages, and tables of
    /// 512 pages with those pages.
    ///
    /// - Parameters:
    ///   - table: Guest physical address of a table whose entries are for 2 MiB each.
    ///   - most: Entries that are looked at, the first ones.
    ///   - pages: What is added to.
    private func addPages(of table: UInt64, atMost most: Int, _ pages: inout PageList) {
        for entry in (0..<512).lazy.compactMap({ self.entry($0, ofTable: table) }).prefix(most) {
            if entry.isLarge {
                let start = entry.address & ~0x1F_FFFF
                for offset in 0..<UInt64(512) {
                    pages.add(memory.layout.page(at: start + offset << UInt64(GuestPage.shift)))
                }
            } else {
                pages.add(memory.layout.page(at: entry.address))
                for index in 0..<512 {
                    guard let page = self.entry(index, ofTable: entry.address) else { continue }
                    pages.add(memory.layout.page(at: page.address))
                }
            }
        }
    }

    /// An entry of a page table in guest memory; nil when it is not present, or not in memory.
    private func entry(_ index: Int, ofTable table: UInt64) -> PageTableEntry? {
        guard let page = memory.layout.page(at: table) else { return nil }
        let bytes = unsafe memory.bytes(of: PageRange(first: page, count: 1))
        let entry = PageTableEntry(
            bits: unsafe bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)
        )
        return entry.isPresent ? entry : nil
    }
}

/// An entry of a page table of the processor's 64-bit mode.
private struct PageTableEntry {
    let bits: UInt64

    var isPresent: Bool { bits & 1 != 0 }
    var isLarge: Bool { bits & 1 << 7 != 0 }
    var address: UInt64 { bits & 0x000F_FFFF_FFFF_F000 }
}

/// Pages in an order, each once.
private struct PageList {
    private(set) var list: [PageIndex] = []
    private var known: Set<Int> = []

    mutating func add(_ page: PageIndex?) {
        if let page, known.insert(page.rawValue).inserted { list.append(page) }
    }
}
