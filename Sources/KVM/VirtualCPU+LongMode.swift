// SPDX-License-Identifier: Apache-2.0

internal import CLinux
package import LinuxSystem

extension VirtualCPU {
    /// Puts a new vCPU into 64-bit mode, at the first instruction of a program.
    ///
    /// Flat segments are loaded without a descriptor table, and there is no interrupt table: any
    /// exception is a triple fault, which ends the guest.
    ///
    /// - Parameters:
    ///   - entry: Address of the first instruction.
    ///   - pageTables: Guest physical address of the top-level page table.
    ///   - argument: Goes to RDI, like the first argument of a C function.
    /// - Throws: What the kernel answers; nothing is expected here.
    package func enterLongMode(
        at entry: UInt64,
        pageTables: UInt64,
        argument: UInt64
    ) throws(SystemError) {
        var special = kvm_sregs()
        // Start from what KVM gives a new vCPU: APIC base, task register and the like.
        try checked(
            unsafe clinux_ioctl(descriptor.rawValue, CLINUX_KVM_GET_SREGS, &special),
            "ioctl(KVM_GET_SREGS)"
        )
        special.cr3 = pageTables
        special.cr4 = ControlBits.physicalAddressExtension | ControlBits.osSavesVectors
        special.cr0 = ControlBits.protection | ControlBits.extensionType | ControlBits.paging
        special.efer = ControlBits.longModeEnabled | ControlBits.longModeActive
        special.cs = Self.flatSegment(selector: 0x08, type: 11, isCode: true)
        let data = Self.flatSegment(selector: 0x10, type: 3, isCode: false)
        special.ds = data
        special.es = data
        special.fs = data
        special.gs = data
        special.ss = data
        try checked(
            unsafe clinux_ioctl(descriptor.rawValue, CLINUX_KVM_SET_SREGS, &special),
            "ioctl(KVM_SET_SREGS)"
        )
        var registers = kvm_regs()
        registers.rip = entry
        registers.rdi = argument
        registers.rflags = 2  // the bit that is always one
        try checked(
            unsafe clinux_ioctl(descriptor.rawValue, CLINUX_KVM_SET_REGS, &registers),
            "ioctl(KVM_SET_REGS)"
        )
    }

    private enum ControlBits {
        static let protection: UInt64 = 1 << 0
        static let extensionType: UInt64 = 1 << 4
        static let paging: UInt64 = 1 << 31
        static let physicalAddressExtension: UInt64 = 1 << 5
        static let osSavesVectors: UInt64 = 1 << 9
        static let longModeEnabled: UInt64 = 1 << 8
        static let longModeActive: UInt64 = 1 << 10
    }

    private static func flatSegment(selector: UInt16, type: UInt8, isCode: Bool) -> kvm_segment {
        var segment = kvm_segment()
        segment.limit = 0xFFFF_FFFF
        segment.selector = selector
        segment.type = type
        segment.present = 1
        segment.db = isCode ? 0 : 1
        segment.s = 1
        segment.l = isCode ? 1 : 0
        segment.g = 1
        return segment
    }
}
