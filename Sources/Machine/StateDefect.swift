// SPDX-License-Identifier: Apache-2.0

/// What is wrong with saved state that came from a peer.
package enum StateDefect: Error, Equatable, Sendable, CustomStringConvertible {
    /// Not one state for each vCPU.
    case vcpuCount(found: Int, expected: Int)
    /// No state of the VM's clock.
    case missingClock
    /// A structure that is not of the kernel's size.
    case size(vcpu: Int, field: String, found: Int, expected: Int)
    /// A value that does not exist.
    case value(vcpu: Int, field: String, found: UInt64)
    /// A register that this KVM does not have for a guest.
    case unknownRegister(vcpu: Int, index: UInt32)
    /// A register that occurs twice.
    case repeatedRegister(vcpu: Int, index: UInt32)

    /// A clause for a person.
    package var description: String {
        switch self {
        case .vcpuCount(let found, let expected):
            "it has \(found) vCPUs, the machine has \(expected)"
        case .missingClock:
            "the VM's clock is missing"
        case .size(let vcpu, let field, let found, let expected):
            "'\(field)' of vCPU \(vcpu) has \(found) bytes where \(expected) are due"
        case .value(let vcpu, let field, let found):
            "'\(field)' of vCPU \(vcpu) has the impossible value \(found)"
        case .unknownRegister(let vcpu, let index):
            "vCPU \(vcpu) has MSR 0x\(String(index, radix: 16)), which is unknown here"
        case .repeatedRegister(let vcpu, let index):
            "vCPU \(vcpu) has MSR 0x\(String(index, radix: 16)) twice"
        }
    }
}
