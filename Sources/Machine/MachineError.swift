// SPDX-License-Identifier: Apache-2.0

package import Boot
package import KVM
package import LinuxSystem

/// Why a machine cannot be built, booted, paused, saved or loaded.
package enum MachineError: Error, Equatable, Sendable, CustomStringConvertible {
    /// There is no KVM to run it with.
    case kvmUnavailable(KVMUnavailable)
    /// This host lacks the fault path that was asked for.
    case faultPath(FaultPathUnavailable)
    /// This kernel's KVM lacks an extension.
    case missingCapability(name: String)
    /// A system call failed.
    case system(SystemError)
    /// More vCPUs than there can be, or none.
    case vcpuCount(Int, most: Int)
    /// A guest that this program does not have.
    case unknownGuest(String)
    /// A device that this program does not have.
    case unknownDevice(String)
    /// A machine that was described for another guest than the one to boot.
    case otherGuest(String)
    /// A guest cannot be started from its files.
    case boot(BootDefect)
    /// Memory that is not what the description says.
    case memoryLayout(described: String, found: String)
    /// Memory that the guest cannot use.
    case guestMemory(GuestMemoryDefect)
    /// The host has too little memory for the guest's.
    case hostMemory(neededBytes: Int, availableBytes: Int)
    /// More CPUID leaves than KVM takes.
    case cpuidEntryCount(Int)
    /// The guest was promised processor features that this host lacks.
    case processorFeatures(ProcessorFeatureLack)
    /// The guest's TSC runs at a frequency that this host cannot offer.
    case tscFrequency(guestKilohertz: UInt32, hostKilohertz: UInt32)
    /// A boot option with a value that cannot be.
    case option(name: String, value: String, allowed: String)
    /// Saved state that cannot be loaded; nothing was changed.
    case state(StateDefect)
    /// KVM refused a register. While loading, the machine is then useless.
    case registerRefused(vcpu: Int, index: UInt32)
    /// Some vCPUs did not leave the guest in time.
    case pauseTimedOut(vcpus: [Int])
    /// A request to a device was not done in time.
    case devicesBusy
    /// Virtio devices cannot be what they are to be.
    case devices(DeviceMismatch)

    /// The cause, and the remedy where there is one, in one line.
    package var description: String {
        switch self {
        case .kvmUnavailable(let reason):
            "\(reason)"
        case .faultPath(let reason):
            "\(reason)"
        case .missingCapability(let name):
            "this kernel's KVM lacks \(name); use Linux 6.1 or newer"
        case .system(let error):
            "\(error)"
        case .vcpuCount(let count, let most):
            "\(count) vCPUs are not possible; choose 1 to \(most)"
        case .unknownGuest(let name):
            "there is no guest '\(name)'; choose 'walker' or 'linux'"
        case .unknownDevice(let name):
            "the guest has a device '\(name)', which is unknown here; use the source's version "
                + "of this program"
        case .otherGuest(let name):
            "the machine was built for the guest '\(name)'"
        case .boot(let defect):
            "\(defect)"
        case .memoryLayout(let described, let found):
            "guest memory is \(found), the machine has \(described)"
        case .guestMemory(let defect):
            "\(defect)"
        case .hostMemory(let needed, let available):
            "too little memory: the guest needs \(Self.mebibytes(needed)), the host has "
                + "\(Self.mebibytes(available)) left; choose less with --memory or end something"
        case .cpuidEntryCount(let count):
            "\(count) CPUID leaves are not possible; KVM takes 256"
        case .processorFeatures(let lack):
            "the guest uses processor features that this host lacks (CPUID leaf "
                + "0x\(String(lack.leaf, radix: 16)).\(lack.subleaf) \(lack.register) bits "
                + "0x\(String(lack.bits, radix: 16))); choose a host with the same processor"
        case .tscFrequency(let guest, let host):
            "the guest's TSC runs at \(guest) kHz, this host's at \(host) kHz and it cannot "
                + "scale; choose a host with the same processor"
        case .option(let name, let value, let allowed):
            "\(value) is not possible for \(name); choose \(allowed)"
        case .state(let defect):
            "saved state cannot be loaded: \(defect)"
        case .registerRefused(let vcpu, let index):
            "KVM refused MSR 0x\(String(index, radix: 16)) of vCPU \(vcpu)"
        case .pauseTimedOut(let vcpus):
            "vCPUs \(vcpus.map(String.init).joined(separator: ", ")) did not pause in time"
        case .devicesBusy:
            "a disk or another device did not finish its request in time"
        case .devices(let mismatch):
            "\(mismatch)"
        }
    }

    /// Takes an error of a module below, or one of this kind.
    init(_ error: any Error) {
        switch error {
        case let error as MachineError: self = error
        case let error as SystemError: self = .system(error)
        case let error as KVMUnavailable: self = .kvmUnavailable(error)
        case let error as BootDefect: self = .boot(error)
        case FaultProbeError.unavailable(let lack): self = .faultPath(lack)
        case FaultProbeError.system(let error): self = .system(error)
        default: preconditionFailure("an error of another kind: \(error)")
        }
    }

    private static func mebibytes(_ byteCount: Int) -> String { "\(byteCount >> 20) MiB" }
}

/// Why the walker cannot use a layout of memory.
package enum GuestMemoryDefect: Equatable, Sendable, CustomStringConvertible {
    /// Less than it needs.
    case tooSmall(byteCount: Int, least: Int)
    /// Addresses beyond what its page tables hold.
    case tooLarge(endAddress: UInt64, most: UInt64)
    /// It wants memory from address zero on, with one hole at the most.
    case shape(String)

    /// The cause and the remedy, in one line.
    package var description: String {
        switch self {
        case .tooSmall(let byteCount, let least):
            "\(byteCount >> 10) KiB of memory are too little for the guest; "
                + "choose \(least >> 10) KiB or more"
        case .tooLarge(let end, let most):
            "guest memory ends at \(end >> 30) GiB; choose less, up to \(most >> 30) GiB"
        case .shape(let layout):
            "the guest wants memory from address 0 on with one hole at the most, not \(layout)"
        }
    }
}
