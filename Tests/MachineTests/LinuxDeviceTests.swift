// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import GuestMemory
import LinuxSystem
import Machine
import MigrationWire
import TestSupport
import Testing

@Suite(.enabled(if: HostFacts.runsKVMTests, "needs a working /dev/kvm"), .timeLimit(.minutes(1)))
struct `A guest with the devices of Linux`: ~Copyable {
    private let folder: TemporaryDirectory
    private var console: String { folder.file("console") }

    init() {
        folder = TemporaryDirectory()
    }

    private func booted(
        _ program: [UInt8],
        vCPUCount: Int = 1,
        console target: ConsoleTarget? = nil
    ) throws -> Machine {
        let path = folder.file("kernel")
        try Data(SmallKernel.file(program)).write(to: URL(filePath: path))
        let layout = try GuestLayout.pc(byteCount: 16 << 20)
        let machine = try Machine(
            description: Machine.describe(.linux, layout: layout, vCPUCount: vCPUCount),
            memory: GuestRAM(layout: layout, backing: .anonymous),
            console: target ?? .file(console)
        )
        try machine.boot(LinuxImage(kernel: path, initrd: nil, commandLine: ""))
        try machine.startThreads()
        machine.resume()
        return machine
    }

    private var said: [UInt8] {
        (try? Data(contentsOf: URL(filePath: console))).map { [UInt8]($0) } ?? []
    }

    @Test func `is heard on its console, and powers off`() throws {
        let machine = try booted(
            SmallKernel.out(0x68, 0x3F8) + SmallKernel.out(0x69, 0x3F8) + SmallKernel.powerOff
        )
        #expect(Guests.wait { machine.ending != nil })
        #expect(machine.ending == .poweredOff)
        machine.stop()
        #expect(said == Array("hi".utf8))
    }

    @Test(arguments: [(UInt8(0xFE), UInt16(0x64)), (0x06, 0xCF9)])
    func `resets itself`(value: UInt8, port: UInt16) throws {
        let machine = try booted(SmallKernel.out(value, port) + SmallKernel.loop)
        #expect(Guests.wait { machine.ending != nil })
        #expect(machine.ending == .reset)
    }

    @Test func `reads ones where there is nothing, and writes strings to its console`() throws {
        let text = Array("strings".utf8)
        var program: [UInt8] = [
            0x48, 0xA1, 0, 0, 0, 0xD0, 0, 0, 0, 0,  // mov rax, [0xD0000000]
            0x48, 0xA3, 0, 0, 0x11, 0, 0, 0, 0, 0,  // mov [0x110000], rax
            0x48, 0xA3, 0, 0, 0, 0xD0, 0, 0, 0, 0,  // mov [0xD0000000], rax
            0xBF, 0x08, 0, 0x11, 0,  // mov edi, 0x110008
            0xB9, 0x40, 0, 0, 0,  // mov ecx, 64
            0x66, 0xBA, 0x00, 0x03,  // mov dx, 0x300
            0xF3, 0x6C,  // rep insb
            0xBE, 0x00, 0x04, 0x20, 0,  // mov esi, 0x200400
            0xB9, UInt8(text.count), 0, 0, 0,  // mov ecx
            0x66, 0xBA, 0xF8, 0x03,  // mov dx, 0x3F8
            0xF3, 0x6E,  // rep outsb
        ]
        program += SmallKernel.powerOff
        program += repeatElement(0, count: 0x400 - program.count)
        program += text
        let machine = try booted(program)
        #expect(Guests.wait { machine.ending != nil })
        #expect(machine.ending == .poweredOff)
        for offset in stride(from: 0, to: 72, by: 8) {
            #expect(machine.word(page: 0x110, offset: offset) == .max)
        }
        machine.stop()
        #expect(said == text)
    }

    @Test func `writes more to its console than there is room for, and waits for nobody`() throws {
        // Never looks whether the transmitter is empty.
        let machine = try booted(SmallKernel.out(0x2E, 0x3F8) + [0xEB, 0xF7])
        #expect(Guests.wait { said.count > 1 << 17 })
        _ = try machine.pause(within: .seconds(5))
        machine.stop()
        #expect(said.allSatisfy { $0 == 0x2E })
    }

    @Test func `ends in time although nobody reads its terminal`() throws {
        let terminal = StalledTerminal()
        let machine = try booted(
            SmallKernel.out(0x2E, 0x3F8) + [0xEB, 0xF7],
            console: .file(terminal.path)
        )
        terminal.fillUp()
        _ = try machine.pause(within: .seconds(5))
        let start = MonotonicTime.now
        machine.stop()
        #expect(MonotonicTime.now.nanoseconds(since: start) < 10_000_000_000)
        // It was there all the time.
        let holdsOutput = terminal.holdsOutput
        #expect(holdsOutput)
    }

    @Test func `has a second vCPU that waits, and can be paused and saved`() throws {
        let machine = try booted(SmallKernel.loop, vCPUCount: 2)
        #expect(Guests.wait { machine.firstRun != nil })
        for _ in 0..<3 {
            _ = try machine.pause(within: .seconds(5))
            #expect(try machine.saveState().vcpus.map(\.mpState) == [0, 1])
            machine.resume()
        }
        #expect(machine.ending == nil)
    }

    @Test func `is refused when its kernel does not fit`() throws {
        let error = try #require(throws: MachineError.self) {
            var file = SmallKernel.file(SmallKernel.loop)
            file[107] = 0x40  // it takes a GiB of memory
            let path = folder.file("large")
            try Data(file).write(to: URL(filePath: path))
            let layout = try GuestLayout.pc(byteCount: 16 << 20)
            let machine = try Machine(
                description: Machine.describe(.linux, layout: layout, vCPUCount: 1),
                memory: GuestRAM(layout: layout, backing: .anonymous)
            )
            try machine.boot(LinuxImage(kernel: path, initrd: nil, commandLine: ""))
        }
        #expect(error.description.contains("give more with --memory"))
    }
}
