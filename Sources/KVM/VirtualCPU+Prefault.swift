// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import LinuxSystem

extension VirtualCPU {
    /// Maps guest memory that is present in this process, as if the vCPU had touched it.
    ///
    /// After a memory-fault exit this saves the second exit, which would only find the page and
    /// map it. For the thread that calls `run()`, or any while that does not.
    ///
    /// - Parameters:
    ///   - address: Guest physical address, page-aligned.
    ///   - byteCount: A multiple of the page size.
    /// - Returns: Whether all of it is mapped. It is advice: where the kernel cannot, the vCPU's
    ///   own touch does.
    ///
    /// Kernel interface: `ioctl(KVM_PRE_FAULT_MEMORY)`, api.rst 4.143. Allocates nothing.
    @discardableResult
    package func prefault(_ address: UInt64, byteCount: UInt64) -> Bool {
        var request = clinux_kvm_pre_fault_memory()
        request.address = address
        request.size = byteCount
        return unsafe clinux_ioctl(
            descriptor.rawValue,
            CLINUX_KVM_PRE_FAULT_MEMORY,
            &request
        ) == 0
    }
}
