// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc
package import GuestMemory
package import LinuxSystem

/// The dialects in which KVM can be asked for memory-fault exits, in one place.
///
/// All dialects answer the same four questions: arm, an exit's page (``VirtualCPUExit``), a page
/// is present so that its vCPU may re-enter, disarm. Safe from several threads at once.
package final class FaultExits: Sendable {
    /// How touches of absent pages are delivered.
    package let path: FaultPath
    /// Why this path was taken, for a person.
    package let reason: String
    /// Whether this kernel maps a page before its vCPU touches it again; advice, never needed.
    package let canPrefault: Bool
    private let virtualMachine: VirtualMachine
    private let layout: GuestLayout

    private init(
        _ path: FaultPath,
        because reason: String,
        of virtualMachine: VirtualMachine,
        _ layout: GuestLayout
    ) {
        self.path = path
        self.reason = reason
        self.virtualMachine = virtualMachine
        self.layout = layout
        canPrefault = virtualMachine.check(.prefault) > 0
    }

    /// Probes the paths in the order nowait, attributes, userfault, and takes the first that is
    /// allowed and works.
    ///
    /// - Parameters:
    ///   - choice: What a person asked for.
    ///   - system: Where VMs come from; attributes needs one of another kind.
    ///   - layout: Guest memory.
    /// - Returns: The VM, without memory or vCPUs yet, and its exits, disarmed.
    /// - Throws: `unavailable` for a path that was asked for by name, `system` when no VM can be
    ///   created at all.
    package static func probe(
        _ choice: FaultPathChoice,
        on system: KVMSystem,
        layout: GuestLayout
    ) throws(FaultProbeError) -> (virtualMachine: VirtualMachine, exits: FaultExits) {
        var lacks: [String] = []
        if choice.allows(.nowait) {
            let machine = try makeOrdinary(system)
            switch machine.setMemoryFaultNowait(.off) {
            case 0:
                let reason = "KVM_SET_MEM_FAULT_NOWAIT is there"
                return (machine, FaultExits(.nowait, because: reason, of: machine, layout))
            case let code:
                let reason = "KVM_SET_MEM_FAULT_NOWAIT says \(SystemError.name(of: -code))"
                if choice != .auto {
                    throw .unavailable(FaultPathUnavailable(path: .nowait, reason: reason))
                }
                lacks.append("no nowait: \(reason)")
            }
        }
        if choice.allows(.attributes) {
            do throws(FaultPathUnavailable) {
                let machine = try probeAttributes(system)
                let reason = (lacks + ["VMs with private memory are there"]).joined(separator: "; ")
                return (machine, FaultExits(.attributes, because: reason, of: machine, layout))
            } catch {
                if choice != .auto { throw .unavailable(error) }
                lacks.append("no attributes: \(error.reason)")
            }
        }
        let machine = try makeOrdinary(system)
        let reason = lacks.isEmpty ? "as asked" : lacks.joined(separator: "; ")
        return (machine, FaultExits(.userfault, because: reason, of: machine, layout))
    }

    private static func makeOrdinary(
        _ system: KVMSystem
    ) throws(FaultProbeError) -> VirtualMachine {
        do {
            return try system.makeVirtualMachine()
        } catch {
            throw .system(error)
        }
    }

    private static func probeAttributes(
        _ system: KVMSystem
    ) throws(FaultPathUnavailable) -> VirtualMachine {
        let bit = 1 << Int(CLINUX_KVM_X86_SW_PROTECTED_VM)
        guard system.check(.vmTypes) & bit != 0 else {
            throw FaultPathUnavailable(
                path: .attributes,
                reason: "KVM_CAP_VM_TYPES offers no software-protected VMs"
            )
        }
        let machine: VirtualMachine
        do {
            machine = try system.makeVirtualMachine(.softwareProtected)
        } catch {
            throw FaultPathUnavailable(path: .attributes, reason: "\(error)")
        }
        guard machine.check(.memoryAttributes) & Int(CLINUX_KVM_MEMORY_ATTRIBUTE_PRIVATE) != 0
        else {
            throw FaultPathUnavailable(
                path: .attributes,
                reason: "KVM_CAP_MEMORY_ATTRIBUTES offers no private memory"
            )
        }
        return machine
    }

    /// From now on a touch of an absent page is an exit.
    ///
    /// All pages are absent.
    ///
    /// While vCPUs do not run yet. Takes time proportional to guest memory on the attributes
    /// path, none on the others.
    package func arm() throws(SystemError) {
        switch path {
        case .nowait:
            try checked(
                CInt(virtualMachine.setMemoryFaultNowait(.on)),
                "ioctl(KVM_SET_MEM_FAULT_NOWAIT)"
            )
        case .attributes:
            for region in layout.regions {
                try virtualMachine.setAttributes(
                    CLINUX_KVM_MEMORY_ATTRIBUTE_PRIVATE,
                    address: region.guestAddress,
                    byteCount: UInt64(region.pageCount) << UInt64(GuestPage.shift)
                )
            }
        case .userfault: break
        }
    }

    /// Pages have become present: vCPUs that touch them need not exit any more.
    ///
    /// After the pages are installed, never before: a vCPU that came between would fall into
    /// userfaultfd and, as installs for vCPUs wake nobody, sleep there for ever.
    ///
    /// - Parameter range: Installed pages, the more at once the better.
    /// - Throws: ``SystemError`` of the attributes path.
    package func becamePresent(_ range: PageRange) throws(SystemError) {
        try setAttributes(0, of: range)
    }

    /// Pages are absent again: while vCPUs do not run yet.
    ///
    /// - Parameter range: Pages that are being dropped, the more at once the better.
    /// - Throws: ``SystemError`` of the attributes path.
    package func becameAbsent(_ range: PageRange) throws(SystemError) {
        try setAttributes(CLINUX_KVM_MEMORY_ATTRIBUTE_PRIVATE, of: range)
    }

    private func setAttributes(
        _ attributes: UInt64,
        of range: PageRange
    ) throws(SystemError) {
        guard path == .attributes else { return }
        var before = 0
        for region in layout.regions {
            let first = max(range.first.rawValue, before)
            let end = min(range.first.rawValue + range.count, before + region.pageCount)
            if first < end {
                let offset = UInt64(first - before) << UInt64(GuestPage.shift)
                try virtualMachine.setAttributes(
                    attributes,
                    address: region.guestAddress + offset,
                    byteCount: UInt64(end - first) << UInt64(GuestPage.shift)
                )
            }
            before += region.pageCount
        }
    }

    /// The page of an exit is present: maps it for the vCPU, where the kernel can.
    ///
    /// Saves a second exit from the guest, which would only find the page and map it. For the
    /// vCPU's thread, before it re-enters; costs one system call.
    package func prepareReentry(of vCPU: VirtualCPU, after fault: MemoryFault) {
        if canPrefault { vCPU.prefault(fault.address, byteCount: fault.byteCount) }
    }

    /// Touches of pages that are not mapped are no exits any more; when all pages are present.
    package func disarm() throws(SystemError) {
        guard path == .nowait else { return }
        try checked(
            CInt(virtualMachine.setMemoryFaultNowait(.off)),
            "ioctl(KVM_SET_MEM_FAULT_NOWAIT)"
        )
    }
}

extension VirtualMachine {
    fileprivate enum Switch: UInt8 { case off, on }

    /// Zero, or `-errno`.
    ///
    /// Kernel interface: `ioctl(KVM_SET_MEM_FAULT_NOWAIT)`.
    fileprivate func setMemoryFaultNowait(_ state: Switch) -> Int {
        var byte = state.rawValue
        return Int(
            unsafe clinux_ioctl(descriptor.rawValue, CLINUX_KVM_SET_MEM_FAULT_NOWAIT, &byte)
        )
    }

    /// Kernel interface: `ioctl(KVM_SET_MEMORY_ATTRIBUTES)`, api.rst 4.140.
    fileprivate func setAttributes(
        _ attributes: UInt64,
        address: UInt64,
        byteCount: UInt64
    ) throws(SystemError) {
        var request = clinux_kvm_memory_attributes(
            address: address,
            size: byteCount,
            attributes: attributes,
            flags: 0
        )
        let result = unsafe clinux_ioctl(
            descriptor.rawValue,
            CLINUX_KVM_SET_MEMORY_ATTRIBUTES,
            &request
        )
        try checked(result, "ioctl(KVM_SET_MEMORY_ATTRIBUTES)")
    }
}
