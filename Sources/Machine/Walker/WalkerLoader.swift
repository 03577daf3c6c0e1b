// SPDX-License-Identifier: Apache-2.0

internal import CGuest
internal import GuestMemory
internal import LinuxSystem

/// Writes the walker into new guest memory: page tables, program, blocks and contents.
struct WalkerLoader {
    let memory: GuestRAM
    let layout: WalkerLayout
    let vCPUCount: Int
    let options: WalkerOptions
    let tscKilohertz: UInt32

    /// Knuth's MMIX generator; one more than a multiple of four, as a full period demands.
    private static let multiplier: UInt64 = 6_364_136_223_846_793_005

    /// Writes everything.
    ///
    /// Memory must be new, all zero. Takes about a second for every GiB.
    func load() {
        writePageTables()
        writeProgram()
        let contents = WalkerContents(options)
        for index in 0..<vCPUCount {
            WalkerBlock(memory, index).write(parameters(ofVCPU: index, contents))
            contents.fill(memory, layout, slice: index)
        }
    }

    /// Bytes of memory that are not zero afterwards.
    var residentByteCount: Int {
        let contents = WalkerContents(options)
        let period = (0..<100).count { !contents.isZero($0) }
        return Int(CGUEST_SLICES) + layout.slicePages * vCPUCount / 100 * period
            << GuestPage.shift
    }

    /// An identity map of 2 MiB pages, with accessed and dirty bits set, so that the processor
    /// does not write to the tables.
    private func writePageTables() {
        let table: UInt64 = 0x23  // present, writable, accessed
        let largePage: UInt64 = 0xE3  // the same, dirty, 2 MiB
        let top = Int(CGUEST_PAGE_TABLES)
        let pointers = top + GuestPage.byteCount
        write(UInt64(pointers) | table, at: top)
        for gibibyte in 0..<layout.gibibytes {
            let directory = Int(CGUEST_PAGE_DIRECTORIES) + gibibyte << GuestPage.shift
            write(UInt64(directory) | table, at: pointers + gibibyte * 8)
            for entry in 0..<512 {
                let address = UInt64(gibibyte) << 30 | UInt64(entry) << 21
                write(address | largePage, at: directory + entry * 8)
            }
        }
    }

    private func writeProgram() {
        let size = cguest_program_byte_count()
        let target = unsafe bytes(at: Int(CGUEST_PROGRAM), count: size)
        unsafe target.copyMemory(
            from: UnsafeRawBufferPointer(start: cguest_program(), count: size)
        )
    }

    private func parameters(ofVCPU index: Int, _ contents: WalkerContents) -> cguest_parameters {
        let workingSet = min(options.workingSetPages ?? layout.slicePages, layout.slicePages)
        // Width of the numbers that the generator of random order makes.
        let bits = UInt64(UInt64.bitWidth - (UInt64(max(workingSet, 1)) - 1).leadingZeroBitCount)
        let (order, stride): (Int32, Int) =
            switch options.order {
            case .sequential: (CGUEST_ORDER_STRIDED, 1)
            case .strided(let pages): (CGUEST_ORDER_STRIDED, pages)
            case .random: (CGUEST_ORDER_RANDOM, 1)
            }
        return cguest_parameters(
            first_page: UInt64(layout.firstPage(ofVCPU: index)),
            working_set: UInt64(workingSet),
            low_pages: UInt64(layout.lowPages),
            hole_pages: UInt64(layout.holePages),
            order: UInt64(order),
            stride: UInt64(stride),
            mask: 1 << bits - 1,
            shift: max(1, bits / 2),
            multiplier: Self.multiplier,
            increment: options.seed << 1 | 1,
            zero_percent: UInt64(options.zeroPercent),
            change_step: UInt64(contents.changeStep * 8),
            change_cycle: UInt64(contents.changeCycle),
            heartbeat_interval: Ticks.count(
                inNanoseconds: options.heartbeatInterval.wholeNanoseconds,
                kilohertz: tscKilohertz
            )
        )
    }

    private func write(_ value: UInt64, at address: Int) {
        unsafe bytes(at: address, count: 8).storeBytes(of: value, as: UInt64.self)
    }

    /// Bytes of low memory, where page `n` lies at address `n * 4096`.
    private func bytes(at address: Int, count: Int) -> UnsafeMutableRawBufferPointer {
        let first = address >> GuestPage.shift
        let last = (address + count - 1) >> GuestPage.shift
        let range = PageRange(first: PageIndex(first), count: last - first + 1)
        let offset = address - range.byteOffset
        return unsafe UnsafeMutableRawBufferPointer(
            rebasing: memory.bytes(of: range)[offset..<offset + count]
        )
    }
}
