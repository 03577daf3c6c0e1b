// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import GuestMemory
import KVM
import Machine
import MigrationWire
import SwiftProtobuf
import TestSupport
import Testing

@Suite(.enabled(if: HostFacts.runsKVMTests, "needs a working /dev/kvm"), .timeLimit(.minutes(1)))
struct `A machine for Linux` {
    private let machine: Machine

    init() throws {
        machine = try Self.make()
    }

    private static func make(_ description: WireMachineDescription? = nil) throws -> Machine {
        let layout = try GuestLayout.pc(byteCount: 16 << 20)
        return try Machine(
            description: description ?? Machine.describe(.linux, layout: layout, vCPUCount: 2),
            memory: GuestRAM(layout: layout, backing: .anonymous)
        )
    }

    @Test func `tells a guest of interrupt controllers, a hypervisor and its processors`() throws {
        let cpuid = machine.description.cpuid
        let features = try #require(cpuid.first { $0.function == 1 })
        #expect(features.ecx & 1 << 21 != 0)
        #expect(features.ecx & 1 << 31 != 0)
        #expect(features.edx & 1 << 28 != 0)
        let topology = cpuid.filter { $0.function == 0xB }
        #expect(topology.map(\.ebx) == [1, 2, 0])
        #expect(topology.map(\.eax) == [0, 1, 0])
    }

    @Test func `has state that comes out as it went in`() throws {
        let state = try machine.saveState()
        #expect(state.devices.parts == ["controllers", "serial", "power"])
        // The second vCPU waits to be started.
        #expect(state.vcpus.map(\.mpState) == [0, 1])
        let twin = try Self.make(machine.description)
        let bytes: [UInt8] = try state.serializedBytes()
        try twin.loadState(WireMachineState(serializedBytes: bytes))
        let again = try twin.saveState()
        #expect(again.devices.serial == state.devices.serial)
        #expect(again.devices.power == state.devices.power)
        #expect(again.devices.controllers.ioapic == state.devices.controllers.ioapic)
        #expect(again.devices.controllers.primaryPic == state.devices.controllers.primaryPic)
        for (now, then) in zip(again.vcpus, state.vcpus) {
            #expect(now.lapic == then.lapic)
            #expect(now.mpState == then.mpState)
            #expect(now.msrs == then.msrs)
        }
    }

    @Test(
        arguments: [
            ("kvmclock", 0x4B56_4D00), ("kvmclock of a vCPU", 0x4B56_4D01),
            ("asynchronous page faults", 0x4B56_4D02), ("stolen time", 0x4B56_4D03),
            ("end of interrupt", 0x4B56_4D04), ("asynchronous page faults' interrupt", 0x4B56_4D06),
            ("adjustment of the TSC", 0x3B), ("deadline of the timer", 0x6E0),
        ] as [(String, UInt32)]
    )
    func `saves what KVM and Linux share`(name: String, register: UInt32) throws {
        for vcpu in try machine.saveState().vcpus {
            #expect(vcpu.msrs.contains { $0.index == register }, "\(name)")
        }
    }

    @Test func `takes an older state, whose missing devices are as after a reset`() throws {
        var state = try machine.saveState()
        state.devices.parts = []
        state.devices.clearSerial()
        state.devices.clearPower()
        try machine.loadState(state)
        let devices = try machine.saveState().devices
        #expect(devices.serial.divisor == 12)
        #expect(devices.serial.received.isEmpty)
    }

    @Test func `refuses a part and a device it does not know, by name`() throws {
        var state = try machine.saveState()
        state.devices.parts.append("balloon2")
        #expect(throws: MachineError.state(.unknownPart("balloon2"))) {
            try machine.loadState(state)
        }
        var description = machine.description
        description.devices.append("gpu")
        #expect(throws: MachineError.unknownDevice("gpu")) { try Self.make(description) }
    }

    /// What a careless or hostile peer may send.
    enum Damage: CaseIterable {
        case noControllers, shortIOAPIC, longPIT, noLocalAPIC, longLocalAPIC
        case muchReceived, impossibleControl, impossibleDivisor, impossiblePower

        func apply(to state: inout WireMachineState) {
            switch self {
            case .noControllers: state.devices.clearControllers()
            case .shortIOAPIC: state.devices.controllers.ioapic.removeLast()
            case .longPIT: state.devices.controllers.pit.append(0)
            case .noLocalAPIC: state.vcpus[1].lapic = Data()
            case .longLocalAPIC: state.vcpus[1].lapic.append(0)
            case .muchReceived: state.devices.serial.received = Data(count: 17)
            case .impossibleControl: state.devices.serial.modemControl = 0x20
            case .impossibleDivisor: state.devices.serial.divisor = 1 << 16
            case .impossiblePower: state.devices.power.control = 1 << 16
            }
        }
    }

    @Test(arguments: Damage.allCases)
    func `refuses damaged state, and changes nothing`(damage: Damage) throws {
        var state = try machine.saveState()
        state.vcpus[0].regs[0] = 0x42
        damage.apply(to: &state)
        let error = try #require(throws: MachineError.self) { try machine.loadState(state) }
        guard case .state = error else {
            Issue.record("\(error)")
            return
        }
        #expect(!error.description.contains("\n"))
        #expect(try machine.saveState().vcpus[0].regs[0] != 0x42)
    }

    @Test func `is not booted with the walker, nor the walker's with Linux`() throws {
        #expect(throws: MachineError.otherGuest("linux")) { try machine.boot(WalkerOptions()) }
    }

    @Test(arguments: ["none", "stdio", "file:/tmp/x", "unix:/tmp/x"])
    func `has a console that can be somewhere`(text: String) {
        #expect(ConsoleTarget(text) != nil)
    }

    @Test(arguments: ["", "file:", "unix:", "tcp:1:2", "stdio ", "file:\0"])
    func `has no console elsewhere`(text: String) {
        #expect(ConsoleTarget(text) == nil)
    }
}
