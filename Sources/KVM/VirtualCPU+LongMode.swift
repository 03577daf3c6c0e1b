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
    ///   - argument: Goes to RDI and RSI, like the first two arguments of a C function.
    /// - Throws: What the kernel answers; nothing is expected here.
    package func enterLongMode(
        at entry: UInt64,
        pageTables: UInt64,
        argument: UInt64
    ) throws(SystemError) {
        var special = try newSpecialRegisters()
        special.cr3 = pageTables
        special.cr4 = ControlBits.physicalAddressExtension | ControlBits.osSavesVectors
        special.cr0 = ControlBits.protection | ControlBits.extensionType | ControlBits.paging
        special.efer = ControlBits.longModeEnabled | ControlBits.longModeActive
        special.setSegments(code: Self.flatSegment(.code64))
        var registers = kvm_regs()
        registers.rip = entry
        registers.rdi = argument
        registers.rsi = argument
        try start(special, registers)
    }

    /// Puts a new vCPU into 32-bit protected mode without paging, at the first instruction of a
    /// program.
    ///
    /// - Parameters:
    ///   - entry: Address of the first instruction, below 4 GiB.
    ///   - argument: Goes to EBX.
    /// - Throws: What the kernel answers; nothing is expected here.
    package func enterProtectedMode(
        at entry: UInt32,
        argument: UInt32
    ) throws(SystemError) {
        var special = try newSpecialRegisters()
        special.cr0 = ControlBits.protection | ControlBits.extensionType
        special.cr4 = 0
        special.efer = 0
        special.setSegments(code: Self.flatSegment(.code32))
        var registers = kvm_regs()
        registers.rip = UInt64(entry)
        registers.rbx = UInt64(argument)
        try start(special, registers)
    }

    /// What KVM gives a new vCPU: APIC base, task register and the like.
    private func newSpecialRegisters() throws(SystemError) -> kvm_sregs {
        var special = kvm_sregs()
        try checked(
            unsafe clinux_ioctl(descriptor.rawValue, CLINUX_KVM_GET_SREGS, &special),
            "ioctl(KVM_GET_SREGS)"
        )
        return special
    }

    private func start(
        _ special: kvm_sregs,
        _ registers: kvm_regs
    ) throws(SystemError) {
        var special = special
        try checked(
            unsafe clinux_ioctl(descriptor.rawValue, CLINUX_KVM_SET_SREGS, &special),
            "ioctl(KVM_SET_SREGS)"
        )
        var registers = registers
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

    fileprivate enum SegmentKind {
        case code64, code32, data
    }

    /// Selectors are those that Linux wants its code and data at (__BOOT_CS, __BOOT_DS).
    fileprivate static func flatSegment(_ kind: SegmentKind) -> kvm_segment {
        var segment = kvm_segment()
        segment.limit = 0xFFFF_FFFF
        segment.selector = kind == .data ? 0x18 : 0x10
        segment.type = kind == .data ? 3 : 11
        segment.present = 1
        segment.db = kind == .code64 ? 0 : 1
        segment.s = 1
        segment.l = kind == .code64 ? 1 : 0
        segment.g = 1
        return segment
    }
}

extension kvm_sregs {
    fileprivate mutating func setSegments(code: kvm_segment) {
        cs = code
        let data = VirtualCPU.flatSegment(.data)
        ds = data
        es = data
        fs = data
        gs = data
        ss = data
    }
}
