// SPDX-License-Identifier: Apache-2.0

internal import CLinux
package import LinuxSystem

/// The local APIC that the kernel has for a vCPU, where it has interrupt controllers at all.
extension VirtualCPU {
    /// Bytes of its state, which travel to another host as they are.
    package static let localAPICByteCount = MemoryLayout<kvm_lapic_state>.size

    /// Reads its registers; `EINVAL` where there is none.
    ///
    /// Kernel interface: `ioctl(KVM_GET_LAPIC)`.
    package func localAPIC() throws(SystemError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.localAPICByteCount)
        let fd = descriptor.rawValue
        let result = unsafe bytes.withUnsafeMutableBytes { buffer in
            unsafe clinux_ioctl(fd, CLINUX_KVM_GET_LAPIC, buffer.baseAddress)
        }
        try checked(result, "ioctl(KVM_GET_LAPIC) of vCPU \(index)")
        return bytes
    }

    /// Sets its registers, after the special registers, which hold its base and mode, and before
    /// the register that programs its timer (IA32_TSC_DEADLINE).
    ///
    /// - Parameter bytes: Exactly ``localAPICByteCount``; anything else traps.
    /// - Throws: `EINVAL` for contents that cannot be.
    ///
    /// Kernel interface: `ioctl(KVM_SET_LAPIC)`.
    package func setLocalAPIC(_ bytes: [UInt8]) throws(SystemError) {
        precondition(bytes.count == Self.localAPICByteCount)
        let fd = descriptor.rawValue
        let result = unsafe bytes.withUnsafeBytes { buffer in
            // SAFETY: the kernel only reads what a SET call points to.
            unsafe clinux_ioctl(
                fd,
                CLINUX_KVM_SET_LAPIC,
                UnsafeMutableRawPointer(mutating: buffer.baseAddress)
            )
        }
        try checked(result, "ioctl(KVM_SET_LAPIC) of vCPU \(index)")
    }
}
