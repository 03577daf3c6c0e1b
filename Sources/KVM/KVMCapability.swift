// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// Extensions of KVM that this program asks for.
package enum KVMCapability: CaseIterable, Sendable {
    /// `KVM_RUN` returns at once when told so.
    case immediateExit
    /// FPU and vector state in one structure.
    case xsave
    /// The same, larger than 4096 bytes; the answer is its size.
    case xsave2
    /// Extended control registers.
    case xcrs
    /// Debug registers.
    case debugRegisters
    /// Pending exceptions and interrupts.
    case vcpuEvents
    /// Running, halted and so on.
    case mpState
    /// The VM clock can be read and set; the answer is a set of flags.
    case adjustClock
    /// The TSC can run at another frequency than the host's.
    case tscControl
    /// The TSC offset of a vCPU can be read and set.
    case vcpuAttributes
    /// Most vCPUs a VM can have.
    case mostVCPUs
    /// Kinds of VMs; the answer is a set of bits.
    case vmTypes
    /// Attributes of guest memory; the answer is a set of them.
    case memoryAttributes
    /// Guest memory can be mapped before a vCPU touches it.
    case prefault
    /// The kernel has interrupt controllers for a VM.
    case interruptControllers
    /// The kernel has an interval timer for a VM, whose state can be read and set.
    case intervalTimer
    /// The timer of a local APIC can be programmed by the TSC.
    case tscDeadlineTimer
    /// Pages written by a vCPU are listed in a ring; the answer is its largest size in bytes.
    case dirtyRing
    /// The same on processors that order memory weakly, with barriers that they need.
    case dirtyRingAcquireRelease

    /// The kernel's name, as a person looks it up.
    package var name: String {
        switch self {
        case .immediateExit: "KVM_CAP_IMMEDIATE_EXIT"
        case .xsave: "KVM_CAP_XSAVE"
        case .xsave2: "KVM_CAP_XSAVE2"
        case .xcrs: "KVM_CAP_XCRS"
        case .debugRegisters: "KVM_CAP_DEBUGREGS"
        case .vcpuEvents: "KVM_CAP_VCPU_EVENTS"
        case .mpState: "KVM_CAP_MP_STATE"
        case .adjustClock: "KVM_CAP_ADJUST_CLOCK"
        case .tscControl: "KVM_CAP_TSC_CONTROL"
        case .vcpuAttributes: "KVM_CAP_VCPU_ATTRIBUTES"
        case .mostVCPUs: "KVM_CAP_MAX_VCPUS"
        case .vmTypes: "KVM_CAP_VM_TYPES"
        case .memoryAttributes: "KVM_CAP_MEMORY_ATTRIBUTES"
        case .prefault: "KVM_CAP_PRE_FAULT_MEMORY"
        case .interruptControllers: "KVM_CAP_IRQCHIP"
        case .intervalTimer: "KVM_CAP_PIT_STATE2"
        case .tscDeadlineTimer: "KVM_CAP_TSC_DEADLINE_TIMER"
        case .dirtyRing: "KVM_CAP_DIRTY_LOG_RING"
        case .dirtyRingAcquireRelease: "KVM_CAP_DIRTY_LOG_RING_ACQ_REL"
        }
    }

    var number: Int32 {
        switch self {
        case .immediateExit: KVM_CAP_IMMEDIATE_EXIT
        case .xsave: KVM_CAP_XSAVE
        case .xsave2: KVM_CAP_XSAVE2
        case .xcrs: KVM_CAP_XCRS
        case .debugRegisters: KVM_CAP_DEBUGREGS
        case .vcpuEvents: KVM_CAP_VCPU_EVENTS
        case .mpState: KVM_CAP_MP_STATE
        case .adjustClock: KVM_CAP_ADJUST_CLOCK
        case .tscControl: KVM_CAP_TSC_CONTROL
        case .vcpuAttributes: KVM_CAP_VCPU_ATTRIBUTES
        case .mostVCPUs: KVM_CAP_MAX_VCPUS
        case .vmTypes: CLINUX_KVM_CAP_VM_TYPES
        case .memoryAttributes: CLINUX_KVM_CAP_MEMORY_ATTRIBUTES
        case .prefault: CLINUX_KVM_CAP_PRE_FAULT_MEMORY
        case .interruptControllers: KVM_CAP_IRQCHIP
        case .intervalTimer: KVM_CAP_PIT_STATE2
        case .tscDeadlineTimer: KVM_CAP_TSC_DEADLINE_TIMER
        case .dirtyRing: KVM_CAP_DIRTY_LOG_RING
        case .dirtyRingAcquireRelease: KVM_CAP_DIRTY_LOG_RING_ACQ_REL
        }
    }
}
