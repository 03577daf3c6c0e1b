// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import KVM
import LinuxSystem
import Machine
import MigrationWire
import Testing

/// Makes small machines for tests, and copies of them.
enum Guests {
    /// A walker that has not run, threads parked.
    static func booted(
        _ options: WalkerOptions,
        vCPUCount: Int = 1,
        byteCount: Int = 4 << 20
    ) throws -> Machine {
        let layout = try GuestLayout.pc(byteCount: byteCount)
        let memory = try GuestRAM(layout: layout, backing: .anonymous)
        let description = try Machine.describe(layout: layout, vCPUCount: vCPUCount)
        let machine = try Machine(description: description, memory: memory)
        try machine.boot(options)
        try machine.startThreads()
        return machine
    }

    /// A machine like another one, over a copy of its memory.
    ///
    /// Its state is still that of a new one. The other one must be parked.
    static func twin(of machine: Machine) throws -> Machine {
        let memory = try GuestRAM(layout: machine.memory.layout, backing: .anonymous)
        let all = PageRange(first: PageIndex(0), count: memory.layout.pageCount)
        unsafe memory.bytes(of: all).copyMemory(
            from: UnsafeRawBufferPointer(machine.memory.bytes(of: all))
        )
        let twin = try Machine(description: machine.description, memory: memory)
        try twin.startThreads()
        return twin
    }

    /// Waits until something holds.
    static func wait(
        for limit: Duration = .seconds(20),
        until condition: () -> Bool
    ) -> Bool {
        let end = MonotonicTime.now.advanced(by: limit)
        let pause = FutexWord(0)
        while !condition() {
            if MonotonicTime.now > end { return false }
            pause.wait(while: 0, timeout: .milliseconds(2))
        }
        return true
    }
}

extension Machine {
    /// Runs until every vCPU has walked over its pages so many times more, or the guest ended.
    func run(passes: UInt64) -> Bool {
        let before = statistics.map(\.passes)
        return Guests.wait {
            ending != nil
                || zip(statistics, before).allSatisfy { $0.passes >= $1 + passes }
        }
    }

    /// The word at an offset of a page of low memory.
    func word(page: Int, offset: Int) -> UInt64 {
        let bytes = unsafe memory.bytes(of: PageRange(first: PageIndex(page), count: 1))
        return unsafe bytes.load(fromByteOffset: offset, as: UInt64.self)
    }
}
