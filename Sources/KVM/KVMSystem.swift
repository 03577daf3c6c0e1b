// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc
package import LinuxSystem

/// The kernel's KVM: what it can do, and where VMs come from.
///
/// Safe from several threads at once, as the descriptor is.
package final class KVMSystem: Sendable {
    /// The only version of the interface there has been since 2007.
    package static let apiVersion = 12

    /// /dev/kvm.
    let descriptor: FileDescriptor

    /// Opens a KVM device and checks the version of its interface.
    ///
    /// - Parameter path: The device; tests pass something else.
    /// - Throws: Why it cannot be used.
    ///
    /// Kernel interface: open(2), `ioctl(KVM_GET_API_VERSION)`.
    package init(path: String = "/dev/kvm") throws(KVMUnavailable) {
        let version: CInt
        do {
            descriptor = try FileDescriptor(opening: path, flags: O_RDWR)
            version = try checked(
                clinux_ioctl_value(descriptor.rawValue, CLINUX_KVM_GET_API_VERSION, 0),
                "ioctl(KVM_GET_API_VERSION)"
            )
        } catch {
            switch error.code {
            case ENOENT, ENODEV, ENXIO: throw .missing
            case EACCES, EPERM: throw .forbidden
            default: throw .failed(error)
            }
        }
        guard version == Self.apiVersion else { throw .apiVersion(found: Int(version)) }
    }

    /// Asks for an extension.
    ///
    /// - Returns: Zero when the kernel lacks it; otherwise 1 or what the extension defines.
    ///
    /// Kernel interface: `ioctl(KVM_CHECK_EXTENSION)`.
    package func check(_ capability: KVMCapability) -> Int {
        let result = clinux_ioctl_value(
            descriptor.rawValue,
            CLINUX_KVM_CHECK_EXTENSION,
            UInt(capability.number)
        )
        return max(0, Int(result))
    }

    /// All CPUID leaves that this host and KVM together can offer a guest.
    ///
    /// Kernel interface: `ioctl(KVM_GET_SUPPORTED_CPUID)`.
    package func supportedCPUID() throws(SystemError) -> [CPUIDEntry] {
        var table = CPUIDTable()
        try checked(
            unsafe table.bytes.withUnsafeMutableBytes { buffer in
                unsafe clinux_ioctl(
                    descriptor.rawValue,
                    CLINUX_KVM_GET_SUPPORTED_CPUID,
                    buffer.baseAddress
                )
            },
            "ioctl(KVM_GET_SUPPORTED_CPUID)"
        )
        return table.entries
    }

    /// Numbers of the MSRs that KVM holds for a guest.
    ///
    /// Not all of them can be read or written on every vCPU.
    /// Kernel interface: `ioctl(KVM_GET_MSR_INDEX_LIST)`.
    package func modelSpecificRegisterIndices() throws(SystemError) -> [UInt32] {
        // Count first, then the numbers. The kernel lists a few hundred.
        var list = [UInt32](repeating: 0, count: 1 + 4096)
        list[0] = 4096
        try checked(
            unsafe list.withUnsafeMutableBytes { buffer in
                unsafe clinux_ioctl(
                    descriptor.rawValue,
                    CLINUX_KVM_GET_MSR_INDEX_LIST,
                    buffer.baseAddress
                )
            },
            "ioctl(KVM_GET_MSR_INDEX_LIST)"
        )
        return Array(list[1...].prefix(Int(list[0])))
    }

    /// Creates a VM without memory, vCPUs or devices.
    ///
    /// - Parameter kind: What kind of VM; all kernels have ordinary ones.
    /// - Returns: The VM.
    /// - Throws: `EINVAL` for a kind that this kernel lacks.
    ///
    /// Kernel interface: `ioctl(KVM_CREATE_VM)`.
    package func makeVirtualMachine(
        _ kind: VirtualMachine.Kind = .ordinary
    ) throws(SystemError) -> VirtualMachine {
        let type =
            switch kind {
            case .ordinary: CLINUX_KVM_X86_DEFAULT_VM
            case .softwareProtected: CLINUX_KVM_X86_SW_PROTECTED_VM
            }
        let fd = try checked(
            // Creating a VM sleeps, and a signal may come meanwhile.
            retryingInterrupts {
                clinux_ioctl_value(descriptor.rawValue, CLINUX_KVM_CREATE_VM, type)
            },
            "ioctl(KVM_CREATE_VM)"
        )
        return try VirtualMachine(owning: FileDescriptor(owning: fd), of: self)
    }

    /// Bytes of the structure that a vCPU shares with this process.
    func sharedByteCount() throws(SystemError) -> Int {
        Int(
            try checked(
                clinux_ioctl_value(
                    descriptor.rawValue,
                    CLINUX_KVM_GET_VCPU_MMAP_SIZE,
                    0
                ),
                "ioctl(KVM_GET_VCPU_MMAP_SIZE)"
            )
        )
    }
}
