// SPDX-License-Identifier: Apache-2.0

/// Who makes guest memory present that the kernel could not make present for one vCPU.
///
/// Called on the vCPU's own thread, outside KVM_RUN.
package protocol MemoryFaultServer: Sendable {
    /// The vCPU has left KVM_RUN for a guest physical address.
    ///
    /// - Returns: True when the memory is present, false when it never will be.
    func serve(_ address: UInt64) -> Bool

    /// The vCPU is about to enter KVM_RUN again, after `serve` has returned true.
    func reenters()
}
