// SPDX-License-Identifier: Apache-2.0

import Devices
import Testing

struct `Registers of a virtio device` {
    private var registers = VirtioRegisters(EntropyModel().identity)

    private enum At {
        static let status: UInt64 = 0x70
        static let queueReady: UInt64 = 0x44
    }

    private func read(_ offset: UInt64) -> UInt64 { registers.read(byteCount: 4, at: offset) }

    /// What a driver does, in its order.
    private mutating func setUp(features: UInt64 = 1 << 32, size: UInt32 = 8) -> [UInt64] {
        var effects: [VirtioRegisters.Effect] = []
        let queue: [(UInt32, UInt64)] = [
            (0, 0x30), (size, 0x38), (0x1000, 0x80), (0, 0x84), (0x2000, 0x90), (0, 0x94),
            (0x3000, 0xA0), (0, 0xA4), (1, At.queueReady),
        ]
        let writes: [(UInt32, UInt64)] =
            [
                (0, At.status), (1, At.status), (3, At.status), (0, 0x24),
                (UInt32(truncatingIfNeeded: features), 0x20), (1, 0x24),
                (UInt32(features >> 32), 0x20), (11, At.status),
            ] + queue + [(15, At.status)]
        for (value, offset) in writes { effects.append(registers.write(value, to: offset)) }
        return [read(At.status), read(At.queueReady)]
    }

    @Test mutating func `tell what it is`() {
        #expect(read(0) == 0x7472_6976)
        #expect(read(4) == 2)
        #expect(read(8) == 4)
        _ = registers.write(1, to: 0x14)
        #expect(read(0x10) == 1)
        #expect(read(0x34) == 128)
        #expect(read(0xB0) == 0xFFFF_FFFF)
    }

    @Test mutating func `take a driver that does all as it should`() {
        #expect(setUp() == [15, 1])
        #expect(registers.liveQueue(0)?.state.used == 0x3000)
        #expect(registers.liveQueue(1) == nil)
        #expect(registers.write(0, to: 0x50) == .notify)
    }

    @Test(arguments: [0, 1 << 32 | 1 << 33, 1 << 32 | 1] as [UInt64])
    mutating func `refuse features that were not offered, and the old interface`(features: UInt64) {
        #expect(setUp(features: features)[0] == 3)
        #expect(registers.liveQueue(0) == nil)
    }

    @Test(arguments: [0, 3, 256, .max] as [UInt32])
    mutating func `break down with a queue of an impossible size`(size: UInt32) {
        #expect(setUp(size: size) == [0x4F, 0])
        #expect(registers.liveQueue(0) == nil)
        #expect(registers.interruptIsPending)
        // Until it is reset.
        #expect(setUp() == [15, 1])
    }

    @Test(arguments: [(0x80, 0x1008), (0x90, 0x2001), (0xA0, 0x3002)] as [(UInt64, UInt32)])
    mutating func `break down with a ring that is not aligned`(offset: UInt64, address: UInt32) {
        _ = registers.write(8, to: 0x38)
        _ = registers.write(address, to: offset)
        #expect(
            registers.write(1, to: At.queueReady) == .broken(.alignment(UInt64(address)))
        )
    }

    @Test(
        arguments: [
            (At.status, 0), (At.status, 15), (At.queueReady, 0), (At.queueReady, 1),
            (At.queueReady, 2), (At.queueReady, 3), (0x50, 0), (0x30, 0),
        ] as [(UInt64, UInt32)]
    )
    mutating func `know which writes stop a queue`(offset: UInt64, value: UInt32) {
        _ = setUp()
        let stops = registers.stopsQueues(value, to: offset)
        _ = registers.write(value, to: offset)
        #expect(stops == (registers.liveQueue(0) == nil))
    }

    @Test mutating func `keep an interrupt until it is acknowledged`() {
        _ = setUp()
        guard let queue = registers.liveQueue(0) else {
            Issue.record("no queue")
            return
        }
        registers.served(0, queue, interrupts: true)
        #expect(read(0x60) == 1)
        _ = registers.write(2, to: 0x64)
        #expect(registers.interruptIsPending)
        _ = registers.write(1, to: 0x64)
        #expect(!registers.interruptIsPending)
    }

    @Test mutating func `come out as they went in`() {
        _ = setUp()
        let twin = VirtioRegisters(registers.identity, registers.state)
        #expect(twin == registers)
    }

    @Test mutating func `survive any access`() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200_000 {
            let offset = UInt64.random(in: 0..<0x1000, using: &generator)
            let value = UInt32.random(in: .min ... .max, using: &generator)
            _ = registers.write(value >> (value & 31), to: offset & ~UInt64(value & 3))
            _ = registers.read(byteCount: Int.random(in: 1...8, using: &generator), at: offset)
            #expect(registers.state.queues.allSatisfy { !$0.isReady || $0.defect == nil })
        }
    }
}
