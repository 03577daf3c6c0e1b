// SPDX-License-Identifier: Apache-2.0

/// What is wrong with saved state that came from a peer.
package enum StateDefect: Error, Equatable, Sendable, CustomStringConvertible {
    /// Not one state for each vCPU.
    case vcpuCount(found: Int, expected: Int)
    /// No state of the VM's clock.
    case missingClock
    /// A structure that is not of the kernel's size.
    case size(vcpu: Int, field: String, found: Int, expected: Int)
    /// A controller's structure that is not of the kernel's size; zero bytes when it is missing.
    case controllerSize(field: String, found: Int, expected: Int)
    /// A value of a device that does not exist.
    case deviceValue(field: String, found: UInt64)
    /// Not one state for each virtio device.
    case virtioCount(found: Int, expected: Int)
    /// A part that must not be left out, and that this program does not know.
    case unknownPart(String)
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
        case .controllerSize(let field, let found, let expected):
            "'\(field)' has \(found) bytes where \(expected) are due"
        case .deviceValue(let field, let found):
            "'\(field)' has the impossible value \(found)"
        case .virtioCount(let found, let expected):
            "it has \(found) virtio devices, the machine has \(expected)"
        case .unknownPart(let name):
            "it has a part '\(name)', which is unknown here; use the source's version of this "
                + "program"
        case .value(let vcpu, let field, let found):
            "'\(field)' of vCPU \(vcpu) has the impossible value \(found)"
        case .unknownRegister(let vcpu, let index):
            "vCPU \(vcpu) has MSR 0x\(String(index, radix: 16)), which is unknown here"
        case .repeatedRegister(let vcpu, let index):
            "vCPU \(vcpu) has MSR 0x\(String(index, radix: 16)) twice"
        }
    }
}
