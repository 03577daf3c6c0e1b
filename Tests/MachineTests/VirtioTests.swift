// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import GuestMemory
import LinuxSystem
import Machine
import MigrationWire
import SwiftProtobuf
import TestSupport
import Testing

@Suite(.enabled(if: HostFacts.runsKVMTests, "needs a working /dev/kvm"), .timeLimit(.minutes(1)))
struct `A machine with virtio devices`: ~Copyable {
    private let folder = TemporaryDirectory()
    private let notes = Locked<[String]>([])

    /// Where the driver in machine code has its rings and its buffer.
    private enum At {
        static let descriptors: UInt32 = 0x11_0000
        static let available: UInt32 = 0x11_1000
        static let used: UInt32 = 0x11_2000
        static let buffer: UInt32 = 0x11_3000
        static let registers: UInt32 = 0xD000_0000
    }

    private func disk(_ name: String, byteCount: Int = 1 << 20) throws -> String {
        let path = folder.file(name)
        try Data(count: byteCount).write(to: URL(filePath: path))
        return path
    }

    private func devices(disk: String? = nil, hasEntropy: Bool = false) throws -> GuestDevices {
        var devices = GuestDevices()
        devices.hasEntropy = hasEntropy
        if let disk { devices.disks = [try #require(DiskChoice(disk))] }
        let notes = notes
        devices.note = { text in notes.withLock { $0.append(text) } }
        return devices
    }

    private func made(
        _ devices: GuestDevices,
        from description: WireMachineDescription? = nil
    ) throws -> Machine {
        let layout = try GuestLayout.pc(byteCount: 16 << 20)
        return try Machine(
            description: description
                ?? Machine.describe(.linux, layout: layout, vCPUCount: 1, devices: devices),
            memory: GuestRAM(layout: layout, backing: .anonymous),
            devices: devices
        )
    }

    /// Stores a word: `mov dword [address], value`.
    private static func store(_ value: UInt32, at address: UInt32) -> [UInt8] {
        func bytes(_ word: UInt32) -> [UInt8] {
            (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * UInt32($0))) }
        }
        return [0xBB] + bytes(address) + [0xC7, 0x03] + bytes(value)
    }

    /// Waits until a word at an address is a number.
    private static func wait(for number: UInt8, at address: UInt32) -> [UInt8] {
        [0xBB] + (0..<4).map { UInt8(truncatingIfNeeded: address >> (8 * UInt32($0))) }
            + [0x83, 0x3B, number, 0x75, 0xFB]
    }

    /// What a driver asks for: so many times the same, of one buffer.
    private struct Request {
        var queue: UInt32 = 0
        var address = At.buffer
        var byteCount: UInt32 = 64
        var isWritable = true
        var count: UInt32 = 1
    }

    /// A driver that makes its requests at once, waits, and powers off.
    private static func driver(
        _ request: Request = Request(),
        thenWait: [UInt8]
    ) -> [UInt8] {
        let set: [(UInt32, UInt32)] = [
            (1, 0x70), (3, 0x70), (0, 0x24), (0, 0x20), (1, 0x24), (1, 0x20), (11, 0x70),
            (request.queue, 0x30), (8, 0x38), (At.descriptors, 0x80), (0, 0x84),
            (At.available, 0x90), (0, 0x94), (At.used, 0xA0), (0, 0xA4), (1, 0x44), (15, 0x70),
        ]
        var program: [UInt8] = set.flatMap { store($0.0, at: At.registers + $0.1) }
        let memory: [(UInt32, UInt32)] = [
            (request.address, At.descriptors), (0, At.descriptors + 4),
            (request.byteCount, At.descriptors + 8),
            (request.isWritable ? 2 : 0, At.descriptors + 12),
            // All entries of the available ring are zero, and so mean the first descriptor.
            (request.count << 16, At.available),
        ]
        program += memory.flatMap { store($0.0, at: $0.1) }
        program += store(request.queue, at: At.registers + 0x50)
        return program + thenWait + SmallKernel.powerOff
    }

    private func booted(_ program: [UInt8], _ devices: GuestDevices) throws -> Machine {
        let path = folder.file("kernel")
        try Data(SmallKernel.file(program)).write(to: URL(filePath: path))
        let machine = try made(devices)
        try machine.boot(LinuxImage(kernel: path, initrd: nil, commandLine: ""))
        try machine.startThreads()
        machine.resume()
        return machine
    }

    private func run(_ program: [UInt8], _ devices: GuestDevices) throws -> Machine {
        let machine = try booted(program, devices)
        #expect(Guests.wait { machine.ending != nil })
        return machine
    }

    @Test func `fills a guest's buffer, all by itself`() throws {
        let machine = try run(
            // Index 1 of the used ring, below it its flags, above it number and length.
            Self.driver(thenWait: Self.wait(for: 64, at: At.used + 8)),
            devices(hasEntropy: true)
        )
        #expect(machine.ending == .poweredOff)
        let state = try machine.pausedState()
        #expect(machine.word(page: 0x112, offset: 0) == 1 << 16)
        #expect((0..<8).contains { machine.word(page: 0x113, offset: 8 * $0) != 0 })
        #expect(state.devices.virtio.first?.queues.first?.nextUsed == 1)
        let said = notes.withLock { $0 }
        #expect(said.isEmpty)
    }

    @Test func `is paused and ends in time although nobody reads its terminal`() throws {
        let terminal = StalledTerminal()
        var devices = try devices()
        devices.console = .file(terminal.path)
        let prints = Request(queue: 1, byteCount: 1 << 16, isWritable: false, count: 8)
        // Notifies the device again and again: it looks each time whether there is room.
        let notifies = Self.store(1, at: At.registers + 0x50) + [0xEB, 0xF8]
        let machine = try booted(Self.driver(prints, thenWait: notifies), devices)
        terminal.fillUp()
        let start = MonotonicTime.now
        _ = try machine.pause(within: .seconds(5))
        machine.stop()
        #expect(MonotonicTime.now.nanoseconds(since: start) < 10_000_000_000)
        // It was there all the time.
        let holdsOutput = terminal.holdsOutput
        #expect(holdsOutput)
    }

    @Test func `needs a reset after a guest's mistake, and says so`() throws {
        // InterruptStatus becomes 2: the device has changed.
        let machine = try run(
            Self.driver(
                Request(address: 0xC000_0000),
                thenWait: Self.wait(for: 2, at: At.registers + 0x60)
            ),
            devices(hasEntropy: true)
        )
        #expect(machine.ending == .poweredOff)
        #expect(Guests.wait { notes.withLock { !$0.isEmpty } })
        let said = notes.withLock { $0 }
        #expect(said.first?.hasPrefix("rng-0 needs a reset: 64 bytes") == true)
        #expect(try machine.pausedState().devices.virtio[0].status == 0x4F)
    }

    /// What the first words of a source of random bytes are: magic, version, kind and vendor.
    private static let firstRegisters: [UInt32] = [0x7472_6976, 2, 4, 0x5355_5041]

    @Test(arguments: [UInt32(4), 512])
    func `loses no access of an instruction that a pause interrupts`(wordCount: UInt32) throws {
        func bytes(_ word: UInt32) -> [UInt8] {
            (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * UInt32($0))) }
        }
        // Copies registers to memory, looks at the first of them, and begins again; powers off
        // when one is wrong.
        var program: [UInt8] = [0xBE] + bytes(At.registers)  // mov esi
        program += [0xBF] + bytes(At.buffer)  // mov edi
        program += [0xB9] + bytes(wordCount) + [0xF3, 0xA5]  // mov ecx; rep movsd
        program += [0xBB] + bytes(At.buffer)  // mov ebx
        var comparisons: [UInt8] = []
        for (index, word) in Self.firstRegisters.enumerated().reversed() {
            // cmp dword [rbx + 4 * index], word; jne to behind the jump to the beginning
            comparisons =
                [0x81, 0x7B, UInt8(4 * index)] + bytes(word)
                + [0x75, UInt8(comparisons.count + 2)] + comparisons
        }
        program += comparisons
        program += [0xEB, UInt8(truncatingIfNeeded: -(program.count + 2))] + SmallKernel.powerOff
        let machine = try booted(program, devices(hasEntropy: true))
        for _ in 0..<200 {
            _ = try machine.pause(within: .seconds(5))
            machine.resume()
        }
        #expect(machine.ending == nil)
    }

    @Test func `has state that comes out as it went in`() throws {
        let choices = try devices(disk: disk("disk"), hasEntropy: true)
        let machine = try made(choices)
        var state = try machine.saveState()
        #expect(state.devices.parts.last == "virtio")
        #expect(state.devices.virtio.map(\.queues.count) == [1, 1])
        state.devices.virtio[1].status = 15
        state.devices.virtio[1].features = 1 << 32 | 1 << 9
        state.devices.virtio[1].queues[0].isReady = true
        state.devices.virtio[1].queues[0].size = 128
        state.devices.virtio[1].queues[0].used = 0x5000
        state.devices.virtio[1].queues[0].nextUsed = 4711
        let twin = try made(choices, from: machine.description)
        let bytes: [UInt8] = try state.serializedBytes()
        try twin.loadState(WireMachineState(serializedBytes: bytes))
        #expect(try twin.saveState().devices.virtio == state.devices.virtio)
    }

    /// What a careless or hostile peer may send.
    enum Damage: CaseIterable {
        case noDevices, fewDevices, manyQueues, unknownStatus, unknownInterrupt, unknownFeature
        case impossibleSize, unaligned, largeIndex

        func apply(to state: inout [WireVirtioState]) {
            switch self {
            case .noDevices: state = []
            case .fewDevices: state.removeLast()
            case .manyQueues: state[1].queues.append(WireVirtioQueueState())
            case .unknownStatus: state[1].status = 1 << 8
            case .unknownInterrupt: state[0].interrupts = 4
            case .unknownFeature: state[0].features = 1 << 33
            case .impossibleSize:
                state[0].queues[0].isReady = true
                state[0].queues[0].size = 3
            case .unaligned:
                state[0].queues[0].isReady = true
                state[0].queues[0].size = 8
                state[0].queues[0].descriptors = 8
            case .largeIndex: state[1].queues[0].nextAvailable = 1 << 16
            }
        }
    }

    @Test(arguments: Damage.allCases)
    func `refuses damaged state`(damage: Damage) throws {
        let machine = try made(devices(disk: disk("disk"), hasEntropy: true))
        var state = try machine.saveState()
        damage.apply(to: &state.devices.virtio)
        let error = try #require(throws: MachineError.self) { try machine.loadState(state) }
        guard case .state = error else {
            Issue.record("\(error)")
            return
        }
    }

    @Test func `has a state to rehearse with that could be loaded`() throws {
        let machine = try made(devices(disk: disk("disk"), hasEntropy: true))
        try machine.check(machine.blankState)
    }

    @Test func `is not built with other disks than the guest has had`() throws {
        let path = try disk("disk")
        let machine = try made(devices(disk: path))
        let large = try disk("large", byteCount: 2 << 20)
        let others: [(String?, String)] = [
            (nil, "devices of --disk"), (large, "give the same disk"),
            ("\(path),readonly", "give the same disk"),
        ]
        for (other, cause) in others {
            let error = try #require(throws: MachineError.self) {
                try made(devices(disk: other), from: machine.description)
            }
            #expect(error.description.contains(cause), "\(error)")
            #expect(!error.description.contains("\n"))
        }
    }

    @Test func `is not a walker, neither as it is described nor as it is connected here`() throws {
        let layout = try GuestLayout.pc(byteCount: 16 << 20)
        var description = try Machine.describe(layout: layout, vCPUCount: 1)
        let error = try #require(throws: MachineError.self) {
            try made(devices(disk: disk("disk")), from: description)
        }
        #expect(error.description.contains("devices of --disk"), "\(error)")
        _ = try made(GuestDevices(), from: description)
        var entropy = WireVirtioDevice()
        entropy.entropy = WireEntropy()
        description.virtio = [entropy]
        #expect(throws: MachineError.unknownDevice("virtio")) {
            try made(GuestDevices(), from: description)
        }
    }

    @Test func `is not built with half a block, too many devices, or what is not there`() throws {
        let uneven = try disk("uneven", byteCount: 1000)
        #expect(throws: MachineError.self) { try made(devices(disk: uneven)) }
        #expect(throws: MachineError.self) { try made(devices(disk: folder.file("nothing"))) }
        var many = try devices(hasEntropy: true)
        many.disks = Array(repeating: try #require(DiskChoice(try disk("disk"))), count: 8)
        #expect(throws: MachineError.devices(.tooMany(9, most: 8))) { try made(many) }
    }

    @Test(arguments: ["", ",readonly", "a,b", "a,readonly,rw", "a\0"])
    func `has no disk of such a name`(text: String) { #expect(DiskChoice(text) == nil) }

    @Test func `has a disk with options`() throws {
        let choice = try #require(DiskChoice("/a b,direct,readonly"))
        #expect(choice.path == "/a b" && choice.isDirect && choice.isReadOnly)
    }

    @Test(
        arguments: [
            "", "tap=", "tap0", "tap=sixteen-letters-", "tap=a,mac=1", "tap=a,mac=52:54:00:0:0:1",
            "tap=a,mac=52:54:00:00:00:01,x",
        ]
    )
    func `has no network of such a name`(text: String) { #expect(NetworkChoice(text) == nil) }
}

extension Machine {
    /// Its state, for which it is paused.
    fileprivate func pausedState() throws -> WireMachineState {
        _ = try pause(within: .seconds(5))
        return try saveState()
    }
}
