// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc
package import LinuxSystem

/// The time-stamp counter of a vCPU.
extension VirtualCPU {
    /// Frequency of the guest's TSC in kHz.
    ///
    /// Kernel interface: `ioctl(KVM_GET_TSC_KHZ)`.
    package func tscKilohertz() throws(SystemError) -> UInt32 {
        UInt32(
            try checked(
                clinux_ioctl_value(descriptor.rawValue, CLINUX_KVM_GET_TSC_KHZ, 0),
                "ioctl(KVM_GET_TSC_KHZ)"
            )
        )
    }

    /// Sets the frequency; needs ``KVMCapability/tscControl`` unless it is nearly the host's.
    ///
    /// Kernel interface: `ioctl(KVM_SET_TSC_KHZ)`.
    package func setTSCKilohertz(_ kilohertz: UInt32) throws(SystemError) {
        try checked(
            clinux_ioctl_value(descriptor.rawValue, CLINUX_KVM_SET_TSC_KHZ, UInt(kilohertz)),
            "ioctl(KVM_SET_TSC_KHZ) to \(kilohertz)"
        )
    }

    /// What is added to the host's TSC to get the guest's; nil where the kernel cannot tell.
    ///
    /// Kernel interface: `KVM_VCPU_TSC_OFFSET`, Linux 5.16.
    package func tscOffset() throws(SystemError) -> UInt64? {
        var offset: UInt64 = 0
        let result = attribute(CLINUX_KVM_GET_DEVICE_ATTR, &offset)
        if result == -ENXIO || result == -ENOTTY || result == -EINVAL { return nil }
        try checked(result, "reading KVM_VCPU_TSC_OFFSET of vCPU \(index)")
        return offset
    }

    /// Sets what is added to the host's TSC.
    package func setTSCOffset(_ offset: UInt64) throws(SystemError) {
        var offset = offset
        try checked(
            attribute(CLINUX_KVM_SET_DEVICE_ATTR, &offset),
            "setting KVM_VCPU_TSC_OFFSET of vCPU \(index)"
        )
    }

    /// Tells the guest's clock that it was stopped, so that its watchdogs stay quiet.
    ///
    /// - Returns: False when the guest does not use that clock (`EINVAL`), which is fine.
    ///
    /// Kernel interface: `ioctl(KVM_KVMCLOCK_CTRL)`.
    @discardableResult
    package func noteClockWasStopped() throws(SystemError) -> Bool {
        let result = clinux_ioctl_value(descriptor.rawValue, CLINUX_KVM_KVMCLOCK_CTRL, 0)
        if result == -EINVAL { return false }
        try checked(result, "ioctl(KVM_KVMCLOCK_CTRL)")
        return true
    }

    private func attribute(_ request: UInt, _ value: inout UInt64) -> CInt {
        let fd = descriptor.rawValue
        return unsafe withUnsafeMutablePointer(to: &value) { pointer in
            var attribute = kvm_device_attr(
                flags: 0,
                group: UInt32(KVM_VCPU_TSC_CTRL),
                attr: UInt64(KVM_VCPU_TSC_OFFSET),
                addr: UInt64(UInt(bitPattern: pointer))
            )
            return unsafe clinux_ioctl(fd, request, &attribute)
        }
    }
}
