// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// Why /dev/kvm cannot be used.
package enum KVMUnavailable: Error, Equatable, CustomStringConvertible {
    /// There is no /dev/kvm (`ENOENT`), or nothing behind it (`ENODEV`, `ENXIO`).
    case missing
    /// This user may not open it (`EACCES`, `EPERM`).
    case forbidden
    /// It speaks another version of the interface.
    case apiVersion(found: Int)
    /// It failed in some other way.
    case failed(SystemError)

    /// The cause and the remedy, in one line.
    package var description: String {
        switch self {
        case .missing:
            "no KVM here: /dev/kvm does not exist; enable virtualization in the firmware (or "
                + "nested virtualization in the hypervisor) and load kvm_amd or kvm_intel"
        case .forbidden:
            "no permission for /dev/kvm; add the user to its group: sudo usermod -aG kvm $USER, "
                + "then log in again"
        case .apiVersion(let found):
            "/dev/kvm has API version \(found), this program needs version "
                + "\(KVMSystem.apiVersion); use a kernel from 2.6.22 on"
        case .failed(let error):
            "/dev/kvm does not work: \(error)"
        }
    }
}
