// SPDX-License-Identifier: Apache-2.0

internal import CLinux
package import GuestMemory
package import LinuxSystem

/// One VM: guest memory, a clock and vCPUs.
///
/// Safe from several threads at once, as the descriptor is.
package final class VirtualMachine: Sendable {
    /// Kinds of VMs.
    package enum Kind: Sendable {
        /// What every guest is run in.
        case ordinary
        /// One whose memory can be marked private (`KVM_X86_SW_PROTECTED_VM`), which kernels
        /// built with CONFIG_KVM_SW_PROTECTED_VM have for development.
        case softwareProtected
    }

    let descriptor: FileDescriptor
    private let sharedByteCount: Int
    private let xsaveByteCount: Int

    /// Takes ownership of a VM that was just created.
    ///
    /// Kernel interface: `ioctl(KVM_SET_TSS_ADDR)`, `ioctl(KVM_SET_IDENTITY_MAP_ADDR)`.
    init(owning descriptor: consuming FileDescriptor, of system: KVMSystem) throws(SystemError) {
        let fd = descriptor.rawValue
        sharedByteCount = try system.sharedByteCount()
        // Older kernels give 4096 bytes; newer ones say how many, which is 4096 or more.
        xsaveByteCount = max(4096, system.check(.xsave2))
        self.descriptor = descriptor
        // Intel processors need four pages of guest physical addresses for real mode; they lie
        // in the hole below 4 GiB, where no guest has memory. Others do not know these calls.
        var identityMap: UInt64 = 0xFFFB_C000
        _ = unsafe clinux_ioctl(fd, CLINUX_KVM_SET_IDENTITY_MAP_ADDR, &identityMap)
        _ = clinux_ioctl_value(fd, CLINUX_KVM_SET_TSS_ADDR, 0xFFFB_D000)
    }

    /// Gives the guest its memory: one slot for each region of the layout.
    ///
    /// Call once. `memory` must outlive this VM.
    /// Kernel interface: `ioctl(KVM_SET_USER_MEMORY_REGION)`.
    package func setMemory(_ memory: GuestRAM) throws(SystemError) {
        try setMemory(memory, flags: 0)
    }

    /// Gives the guest its memory, or the same memory with other flags.
    func setMemory(_ memory: GuestRAM, flags: UInt32) throws(SystemError) {
        var pagesBefore = 0
        for (slot, region) in memory.layout.regions.enumerated() {
            let host = memory.mapping.address + UInt(pagesBefore << GuestPage.shift)
            var request = kvm_userspace_memory_region(
                slot: UInt32(slot),
                flags: flags,
                guest_phys_addr: region.guestAddress,
                memory_size: UInt64(region.pageCount) << UInt64(GuestPage.shift),
                userspace_addr: UInt64(host)
            )
            try checked(
                unsafe clinux_ioctl(
                    descriptor.rawValue,
                    CLINUX_KVM_SET_USER_MEMORY_REGION,
                    &request
                ),
                "ioctl(KVM_SET_USER_MEMORY_REGION) of slot \(slot)"
            )
            pagesBefore += region.pageCount
        }
    }

    /// Creates a vCPU.
    ///
    /// - Parameter index: Its number, from zero; also its APIC id.
    /// - Returns: The vCPU, in the state after a reset.
    /// - Throws: `EINVAL` for an index beyond ``KVMCapability/mostVCPUs``.
    ///
    /// Kernel interface: `ioctl(KVM_CREATE_VCPU)`, mmap(2).
    package func makeVirtualCPU(index: Int) throws(SystemError) -> VirtualCPU {
        let fd = try checked(
            retryingInterrupts {
                clinux_ioctl_value(
                    descriptor.rawValue,
                    CLINUX_KVM_CREATE_VCPU,
                    UInt(index)
                )
            },
            "ioctl(KVM_CREATE_VCPU) of vCPU \(index)"
        )
        return try VirtualCPU(
            owning: FileDescriptor(owning: fd),
            index: index,
            sharedByteCount: sharedByteCount,
            xsaveByteCount: xsaveByteCount
        )
    }

    /// Asks for an extension of this VM, see ``KVMSystem/check(_:)``.
    package func check(_ capability: KVMCapability) -> Int {
        let result = clinux_ioctl_value(
            descriptor.rawValue,
            CLINUX_KVM_CHECK_EXTENSION,
            UInt(capability.number)
        )
        return max(0, Int(result))
    }

    /// Reads the clock.
    ///
    /// Kernel interface: `ioctl(KVM_GET_CLOCK)`.
    package func clock() throws(SystemError) -> VirtualMachineClock {
        var data = kvm_clock_data()
        try checked(
            unsafe clinux_ioctl(descriptor.rawValue, CLINUX_KVM_GET_CLOCK, &data),
            "ioctl(KVM_GET_CLOCK)"
        )
        return VirtualMachineClock(
            nanoseconds: data.clock,
            flags: data.flags,
            realtimeNanoseconds: data.realtime,
            hostTSC: data.host_tsc
        )
    }

    /// Sets the clock, before any vCPU runs.
    ///
    /// Where CLOCK_REALTIME came with it, the kernel adds the real time that has passed since:
    /// guest time goes on through the stop, as far as the two hosts' clocks agree.
    /// Kernel interface: `ioctl(KVM_SET_CLOCK)`.
    package func setClock(_ clock: VirtualMachineClock) throws(SystemError) {
        var data = kvm_clock_data()
        data.clock = clock.nanoseconds
        // The other flags are answers; the kernel refuses them as questions.
        data.flags = clock.flags & CLINUX_KVM_CLOCK_REALTIME
        data.realtime = clock.hasRealtime ? clock.realtimeNanoseconds : 0
        try checked(
            unsafe clinux_ioctl(descriptor.rawValue, CLINUX_KVM_SET_CLOCK, &data),
            "ioctl(KVM_SET_CLOCK)"
        )
    }
}
