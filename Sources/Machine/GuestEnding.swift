// SPDX-License-Identifier: Apache-2.0

package import KVM
package import LinuxSystem

/// How a guest ended by itself.
package enum GuestEnding: Equatable, Sendable, CustomStringConvertible {
    /// The guest found memory that is not what it wrote.
    case corruption(GuestCorruption)
    /// It powered off.
    case poweredOff
    /// It asked for a reset: it wanted to start again, or panicked.
    case reset
    /// A triple fault.
    case shutdown(vcpu: Int)
    /// An exit that this machine has no answer for.
    case unexpectedExit(vcpu: Int, VirtualCPUExit)
    /// KVM_RUN failed.
    case failed(vcpu: Int, SystemError)

    /// A sentence for a person.
    package var description: String {
        switch self {
        case .corruption(let corruption): "\(corruption)"
        case .poweredOff: "the guest powered off"
        case .reset: "the guest asked for a reset"
        case .shutdown(let vcpu): "the guest shut down (triple fault on vCPU \(vcpu))"
        case .unexpectedExit(let vcpu, let exit): "vCPU \(vcpu) stopped with \(exit)"
        case .failed(let vcpu, let error): "vCPU \(vcpu) stopped: \(error)"
        }
    }
}

/// Guest memory that was not what the guest had written there.
package struct GuestCorruption: Equatable, Sendable, CustomStringConvertible {
    /// In which way.
    package enum Kind: Equatable, Sendable {
        /// The page carries another page's number.
        case number
        /// The page is an older (or newer) version of itself.
        case generation
        /// The page's payload does not sum up to its checksum.
        case checksum
        /// A page that stays zero is not zero.
        case zero
        /// A report that cannot be understood.
        case unknown(UInt64)
    }

    /// The vCPU that found it.
    package let vcpu: Int
    /// Page number: guest physical address divided by 4096.
    package let pageNumber: UInt64
    /// In which way.
    package let kind: Kind
    /// What should have been there; zero for a page that stays zero.
    package let expected: UInt64
    /// What was there; for a page that stays zero, all its words ORed together.
    package let found: UInt64

    /// A sentence for a person, with the page number.
    package var description: String {
        let what =
            switch kind {
            case .number: "page number"
            case .generation: "generation"
            case .checksum: "checksum"
            case .zero: "contents of a zero page"
            case .unknown(let code): "unknown field \(code)"
            }
        return "memory corruption: vCPU \(vcpu), page \(pageNumber): \(what) is "
            + "0x\(String(found, radix: 16)), expected 0x\(String(expected, radix: 16))"
    }
}
