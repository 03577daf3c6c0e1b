// SPDX-License-Identifier: Apache-2.0

import Glibc
import KVM
import LinuxSystem
import TestSupport
import Testing

@Suite(.enabled(if: HostFacts.runsKVMTests, "needs a working /dev/kvm"), .timeLimit(.minutes(1)))
struct `The KVM of this host` {
    @Test func `has the extensions that a migration needs`() throws {
        let system = try KVMSystem()
        for capability: KVMCapability in [
            .immediateExit, .xsave, .xcrs, .debugRegisters, .vcpuEvents, .mpState, .adjustClock,
        ] {
            #expect(system.check(capability) > 0, "\(capability.name)")
        }
        #expect(system.check(.mostVCPUs) >= 1)
    }

    @Test func `offers CPUID leaves and lists MSRs`() throws {
        let system = try KVMSystem()
        let leaves = try system.supportedCPUID()
        #expect(leaves.contains { $0.function == 0 })
        #expect(leaves.contains { $0.function == 0x8000_0001 })
        let registers = try system.modelSpecificRegisterIndices()
        #expect(registers.contains(ModelSpecificRegisters.tscIndex))
        #expect(Set(registers).count == registers.count)
    }
}

struct `A KVM that cannot be used` {
    @Test func `is missing where there is no device`() {
        #expect(throws: KVMUnavailable.missing) { try KVMSystem(path: "/dev/no-kvm-here") }
    }

    @Test func `is not any other device`() {
        let expected = SystemError(code: ENOTTY, operation: "ioctl(KVM_GET_API_VERSION)")
        #expect(throws: KVMUnavailable.failed(expected)) { try KVMSystem(path: "/dev/null") }
    }

    @Test(arguments: [
        (KVMUnavailable.missing, ["/dev/kvm", "kvm_amd or kvm_intel"]),
        (.forbidden, ["/dev/kvm", "usermod -aG kvm"]),
        (.apiVersion(found: 11), ["11", "12"]),
        (.failed(SystemError(code: EMFILE, operation: "open /dev/kvm")), ["EMFILE"]),
    ])
    func `says the cause and the remedy in one line`(reason: KVMUnavailable, words: [String]) {
        let text = reason.description
        #expect(!text.contains("\n"))
        for word in words { #expect(text.contains(word)) }
    }
}
