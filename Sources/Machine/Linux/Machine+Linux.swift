// SPDX-License-Identifier: Apache-2.0

internal import Boot
internal import GuestMemory
internal import KVM
internal import MigrationWire

/// A Linux guest.
extension Machine {
    /// Writes a kernel and what it needs into memory and points the first vCPU at it.
    ///
    /// Only at a source, on a machine described for Linux that has not run, with memory that has
    /// not been written. The other vCPUs wait until the kernel starts them.
    package func boot(_ image: LinuxImage) throws(MachineError) {
        guard guest is LinuxGuest else { throw .otherGuest(description.guest) }
        do {
            let plan = try BootPlan(
                image.kernel,
                initrdByteCount: image.initrd?.count,
                commandLine: VirtioBus.commandLine(deviceCount: description.virtio.count)
                    + image.commandLine,
                layout: memory.layout,
                vCPUCount: vcpus.count
            )
            for segment in image.kernel.segments {
                write(image.kernel.bytes[segment.source], at: segment.address)
            }
            for piece in plan.pieces { write(piece.bytes[...], at: piece.address) }
            if let address = plan.initrdAddress, let initrd = image.initrd {
                write(initrd[...], at: address)
            }
            for vcpu in vcpus { try setMemoryTypes(of: vcpu.virtualCPU) }
            try enter(image.kernel.entry, argument: plan.argument)
        } catch {
            throw MachineError(error)
        }
    }

    private func enter(_ entry: KernelImage.Entry, argument: UInt64) throws {
        let first = vcpus[0].virtualCPU
        switch entry {
        case .long(let address):
            try first.enterLongMode(
                at: address,
                pageTables: BootPlan.pageTables,
                argument: argument
            )
        case .pvh(let address):
            try first.enterProtectedMode(at: address, argument: UInt32(argument))
        }
    }

    /// Write-back everywhere, as firmware would have left it: without it Linux keeps off the
    /// memory types of its page tables.
    private func setMemoryTypes(of vcpu: VirtualCPU) throws {
        let defaultType: UInt32 = 0x2FF  // IA32_MTRR_DEF_TYPE
        var registers = ModelSpecificRegisters(indices: [])
        registers.append(index: defaultType, value: 1 << 11 | 6)  // enabled, write-back
        guard try vcpu.set(registers) == 1 else {
            throw MachineError.registerRefused(vcpu: vcpu.index, index: defaultType)
        }
    }

    /// Writes to low memory, where page `n` lies at address `n * 4096`; the plan has checked that
    /// all of it is there.
    private func write(_ bytes: ArraySlice<UInt8>, at address: UInt64) {
        guard !bytes.isEmpty else { return }
        let first = Int(address) >> GuestPage.shift
        let last = (Int(address) + bytes.count - 1) >> GuestPage.shift
        let range = PageRange(first: PageIndex(first), count: last - first + 1)
        let offset = Int(address) - range.byteOffset
        unsafe bytes.withUnsafeBytes { source in
            unsafe UnsafeMutableRawBufferPointer(
                rebasing: memory.bytes(of: range)[offset..<offset + bytes.count]
            ).copyMemory(from: source)
        }
    }
}
