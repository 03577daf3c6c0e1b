// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// A structure of vCPU state of fixed size, read and set as a whole.
///
/// Its bytes are the kernel's ABI and travel to another host as they are.
package enum StateStructure: CaseIterable, Sendable {
    /// General registers, instruction pointer, flags.
    case registers
    /// Segments, control registers, descriptor tables.
    case specialRegisters
    /// Extended control registers.
    case extendedControlRegisters
    /// Breakpoints.
    case debugRegisters
    /// Pending exceptions, interrupts and NMIs.
    case events

    /// Its exact size.
    package var byteCount: Int {
        switch self {
        case .registers: MemoryLayout<kvm_regs>.size
        case .specialRegisters: MemoryLayout<kvm_sregs>.size
        case .extendedControlRegisters: MemoryLayout<kvm_xcrs>.size
        case .debugRegisters: MemoryLayout<kvm_debugregs>.size
        case .events: MemoryLayout<kvm_vcpu_events>.size
        }
    }

    var getRequest: UInt {
        switch self {
        case .registers: CLINUX_KVM_GET_REGS
        case .specialRegisters: CLINUX_KVM_GET_SREGS
        case .extendedControlRegisters: CLINUX_KVM_GET_XCRS
        case .debugRegisters: CLINUX_KVM_GET_DEBUGREGS
        case .events: CLINUX_KVM_GET_VCPU_EVENTS
        }
    }

    var setRequest: UInt {
        switch self {
        case .registers: CLINUX_KVM_SET_REGS
        case .specialRegisters: CLINUX_KVM_SET_SREGS
        case .extendedControlRegisters: CLINUX_KVM_SET_XCRS
        case .debugRegisters: CLINUX_KVM_SET_DEBUGREGS
        case .events: CLINUX_KVM_SET_VCPU_EVENTS
        }
    }

    /// The kernel's name, as a person looks it up.
    package var name: String {
        switch self {
        case .registers: "regs"
        case .specialRegisters: "sregs"
        case .extendedControlRegisters: "xcrs"
        case .debugRegisters: "debugregs"
        case .events: "vcpu_events"
        }
    }
}
