// SPDX-License-Identifier: Apache-2.0

import Glibc
import KVM
import LinuxSystem
import TestSupport
import Testing

@Suite(.enabled(if: HostFacts.runsKVMTests, "needs a working /dev/kvm"), .timeLimit(.minutes(1)))
struct `State of a vCPU` {
    private let guest: SmallGuest

    init() throws {
        guest = try SmallGuest(program: [0xF4])
    }

    @Test(arguments: StateStructure.allCases)
    func `has its exact size and can be set again`(structure: StateStructure) throws {
        let bytes = try guest.virtualCPU.state(structure)
        #expect(bytes.count == structure.byteCount)
        try guest.virtualCPU.setState(structure, bytes)
        #expect(try guest.virtualCPU.state(structure) == bytes)
    }

    @Test func `holds registers that were set`() throws {
        var bytes = try guest.virtualCPU.state(.registers)
        bytes[0] = 0x42
        try guest.virtualCPU.setState(.registers, bytes)
        #expect(try guest.virtualCPU.state(.registers) == bytes)
    }

    @Test func `refuses control registers that cannot be`() throws {
        let bytes = [UInt8](repeating: 0xFF, count: StateStructure.specialRegisters.byteCount)
        let error = try #require(throws: SystemError.self) {
            try guest.virtualCPU.setState(.specialRegisters, bytes)
        }
        #expect(error.code == EINVAL)
    }

    @Test func `includes vectors of the size KVM names`() throws {
        let bytes = try guest.virtualCPU.vectorState()
        #expect(bytes.count == guest.virtualCPU.xsaveByteCount)
        #expect(bytes.count >= 4096)
        try guest.virtualCPU.setVectorState(bytes)
        #expect(try guest.virtualCPU.vectorState() == bytes)
    }

    @Test func `includes MSRs, many in one call`() throws {
        // STAR and LSTAR
        var registers = ModelSpecificRegisters(indices: [])
        registers.append(index: 0xC000_0081, value: 0x0023_0010_0000_0000)
        registers.append(index: 0xC000_0082, value: 0x1000)
        #expect(try guest.virtualCPU.set(registers) == 2)
        var found = ModelSpecificRegisters(indices: [0xC000_0081, 0xC000_0082])
        #expect(try guest.virtualCPU.read(&found) == 2)
        #expect(found == registers)
        #expect(found.index(at: 1) == 0xC000_0082)
        #expect(found.value(at: 1) == 0x1000)
    }

    @Test func `stops at the first MSR that does not exist`() throws {
        var registers = ModelSpecificRegisters(indices: [0xC000_0081, 0xDEAD_0000, 0xC000_0082])
        #expect(try guest.virtualCPU.read(&registers) == 1)
    }

    @Test func `refuses more CPUID leaves than there can be`() throws {
        let leaf = CPUIDEntry(function: 0, index: 0, flags: 0, eax: 0, ebx: 0, ecx: 0, edx: 0)
        let error = try #require(throws: SystemError.self) {
            try guest.virtualCPU.setCPUID([CPUIDEntry](repeating: leaf, count: 257))
        }
        #expect(error.code == E2BIG)
    }

    @Test func `includes a clock that goes on from where it is set`() throws {
        let second: UInt64 = 1_000_000_000
        let clock = VirtualMachineClock(
            nanoseconds: 1_000 * second,
            flags: 0,
            realtimeNanoseconds: 0,
            hostTSC: 0
        )
        try guest.virtualMachine.setClock(clock)
        let later = try guest.virtualMachine.clock().nanoseconds
        #expect(later >= 1_000 * second)
        #expect(later < 1_030 * second)
    }

    @Test func `includes a TSC that never goes back when it is set ahead`() throws {
        #expect(try guest.virtualCPU.tscKilohertz() > 0)
        var found = ModelSpecificRegisters(indices: [ModelSpecificRegisters.tscIndex])
        #expect(try guest.virtualCPU.read(&found) == 1)
        let ahead = found.value(at: 0) + 1 << 40
        var registers = ModelSpecificRegisters(indices: [])
        registers.append(index: ModelSpecificRegisters.tscIndex, value: ahead)
        #expect(try guest.virtualCPU.set(registers) == 1)
        let before = found.value(at: 0)
        #expect(try guest.virtualCPU.read(&found) == 1)
        // Where KVM emulates the processor, the guest's TSC is the host's and cannot be set.
        #expect(found.value(at: 0) >= before)
        #expect(found.value(at: 0) < ahead + 1 << 40)
    }
}
