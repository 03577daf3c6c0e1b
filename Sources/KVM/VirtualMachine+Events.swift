// SPDX-License-Identifier: Apache-2.0

internal import CLinux
package import LinuxSystem

/// Accesses that need nobody's answer.
extension VirtualMachine {
    /// Has the kernel set a flag whenever the guest writes 32 bits to an address without memory,
    /// in place of an exit.
    ///
    /// - Parameters:
    ///   - event: The flag; the kernel keeps it as long as the VM lives.
    ///   - address: Guest physical address.
    /// - Throws: ``SystemError``; then such writes are exits.
    ///
    /// Kernel interface: `ioctl(KVM_IOEVENTFD)`.
    package func signal(_ event: EventFD, onWritesTo address: UInt64) throws(SystemError) {
        var request = kvm_ioeventfd()
        request.addr = address
        request.len = 4
        request.fd = event.rawDescriptor
        try checked(
            unsafe clinux_ioctl(descriptor.rawValue, CLINUX_KVM_IOEVENTFD, &request),
            "ioctl(KVM_IOEVENTFD)"
        )
    }
}
