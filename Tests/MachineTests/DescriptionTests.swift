// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import KVM
import LinuxSystem
import Machine
import MigrationWire
import TestSupport
import Testing

@Suite(.enabled(if: HostFacts.runsKVMTests, "needs a working /dev/kvm"), .timeLimit(.minutes(1)))
struct `A description of a machine` {
    private let layout: GuestLayout
    private let memory: GuestRAM
    private let description: WireMachineDescription

    init() throws {
        layout = try GuestLayout.pc(byteCount: 4 << 20)
        memory = try GuestRAM(layout: layout, backing: .anonymous)
        description = try Machine.describe(layout: layout, vCPUCount: 2)
    }

    @Test func `offers no virtualization and counts the vCPUs`() {
        let features = description.cpuid.filter { $0.function == 1 }
        #expect(features.count == 1)
        for leaf in features {
            #expect(leaf.ecx & 1 << 5 == 0)
            #expect(leaf.ebx >> 16 == 2)
        }
        #expect(description.cpuid.allSatisfy { $0.function != 0x8000_0001 || $0.ecx & 4 == 0 })
        #expect(description.cpuid.allSatisfy { $0.function != 0x8000_000A })
        #expect(description.tscKhz > 0)
        #expect(description.memory.count == 1)
    }

    @Test(arguments: [0, 65, UInt32.max])
    func `is refused with a wrong number of vCPUs`(count: UInt32) throws {
        var wrong = description
        wrong.vcpuCount = count
        #expect(throws: MachineError.vcpuCount(Int(count), most: 64)) {
            try Machine(description: wrong, memory: memory)
        }
    }

    @Test func `is refused when it is of another guest or memory`() throws {
        var wrong = description
        wrong.guest = "runner"
        #expect(throws: MachineError.unknownGuest("runner")) {
            try Machine(description: wrong, memory: memory)
        }
        wrong = description
        wrong.memory[0].pageCount += 1
        let error = try #require(throws: MachineError.self) {
            try Machine(description: wrong, memory: memory)
        }
        guard case .memoryLayout = error else {
            Issue.record("\(error)")
            return
        }
    }

    @Test func `is refused on a host that lacks its processor features`() throws {
        var wrong = description
        for index in wrong.cpuid.indices where wrong.cpuid[index].function == 1 {
            wrong.cpuid[index].ecx |= 1 << 5
        }
        let error = try #require(throws: MachineError.self) {
            try Machine(description: wrong, memory: memory)
        }
        guard case .processorFeatures(let lack) = error else {
            Issue.record("\(error)")
            return
        }
        #expect(lack.leaf == 1)
        #expect(lack.register == "ECX")
    }

    @Test func `is refused with more CPUID leaves than there can be`() throws {
        var wrong = description
        wrong.cpuid = Array(repeating: description.cpuid[0], count: 257)
        #expect(throws: MachineError.cpuidEntryCount(257)) {
            try Machine(description: wrong, memory: memory)
        }
    }

    @Test(arguments: [
        WalkerOptions(order: .strided(pages: 0)),
        WalkerOptions(workingSetPages: -1),
        WalkerOptions(randomPercent: 101),
        WalkerOptions(zeroPercent: -1),
        WalkerOptions(heartbeatInterval: .zero),
    ])
    func `boots with possible options only`(options: WalkerOptions) throws {
        let machine = try Machine(description: description, memory: memory)
        let error = try #require(throws: MachineError.self) { try machine.boot(options) }
        guard case .option = error else {
            Issue.record("\(error)")
            return
        }
    }

    @Test func `needs memory from address zero on, and enough`() throws {
        for (first, pages) in [(UInt64(0), 1023), (1 << 30, 4096)] {
            let layout = try GuestLayout(regions: [
                .init(guestAddress: first, pageCount: pages)
            ])
            let memory = try GuestRAM(layout: layout, backing: .anonymous)
            let description = try Machine.describe(layout: layout, vCPUCount: 1)
            let error = try #require(throws: MachineError.self) {
                try Machine(description: description, memory: memory)
            }
            guard case .guestMemory = error else {
                Issue.record("\(error)")
                return
            }
        }
    }
}
