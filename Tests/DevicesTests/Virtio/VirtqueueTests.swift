// SPDX-License-Identifier: Apache-2.0

import Devices
import Testing

/// By a device that fills whatever it is given.
@Suite(.timeLimit(.minutes(1)))
struct `A virtqueue` {
    private var driver = FakeDriver()
    private var device = EntropyModel()

    private mutating func serve() throws(VirtioDefect) -> ServiceOutcome {
        try device.serve(0, &driver.queue, driver.memory, features: 0)
    }

    @Test mutating func `without requests has none`() throws {
        #expect(try serve() == .idle)
        #expect(driver.usedIndex == 0)
    }

    @Test mutating func `gives back each request once, all around the ring and beyond`() throws {
        for number in 1...UInt16(1000) {
            driver.offer([.init(address: 0x4000, byteCount: 32, isWritable: true)])
            #expect(try serve() == .served(wantsInterrupt: true))
            #expect(driver.usedIndex == number)
            #expect(driver.lastWritten == 32)
            #expect(try serve() == .idle)
        }
    }

    @Test mutating func `counts its indexes beyond what they hold`() throws {
        var state = driver.queue.state
        state.nextAvailable = 0xFFFF
        state.nextUsed = 0xFFFF
        driver.queue = Virtqueue(state)
        driver.memory.put(UInt16(0xFFFF), at: FakeDriver.available + 2)
        driver.offer([.init(address: 0x4000, byteCount: 8, isWritable: true)])
        #expect(try serve() == .served(wantsInterrupt: true))
        #expect(driver.usedIndex == 0)
        #expect(driver.queue.state.nextAvailable == 0)
    }

    @Test mutating func `interrupts nobody who looks for himself`() throws {
        driver.memory.put(UInt16(1), at: FakeDriver.available)
        driver.offer([.init(address: 0x4000, byteCount: 8, isWritable: true)])
        #expect(try serve() == .served(wantsInterrupt: false))
    }

    @Test mutating func `reaches all buffers of a chain, also in another region`() throws {
        driver.offer([
            .init(address: 0x4000, byteCount: 4, isWritable: true),
            .init(address: 0x4100, byteCount: 0, isWritable: true),
            .init(address: 4 << 30, byteCount: 4096, isWritable: true),
        ])
        #expect(try serve() == .served(wantsInterrupt: true))
        #expect(driver.lastWritten == 4096)
        #expect(driver.memory.contents[1].suffix(4).allSatisfy { $0 == 0 })
        #expect(driver.memory.contents[1].prefix(64).contains { $0 != 0 })
    }

    @Test mutating func `takes a table of descriptors in place of a chain`() throws {
        let table: UInt64 = 0x5000
        driver.describe(
            0,
            .init(address: 0x4000, byteCount: 16, isWritable: true),
            next: 1,
            table: table
        )
        driver.describe(1, .init(address: 0x4100, byteCount: 16, isWritable: true), table: table)
        driver.offer([.init(address: table, byteCount: 32, flags: 4)])
        #expect(try serve() == .served(wantsInterrupt: true))
        #expect(driver.lastWritten == 32)
    }

    /// What a hostile guest may do.
    enum Attack: CaseIterable {
        case loop, selfLoop, longLoop, beyondTable, manyAvailable, headBeyond
        case outside, endOutside, wrapping, betweenRegions, gigantic
        case readBehindWrite
        case nestedTable, loopingTable, tableOutside, emptyTable, unevenTable, largeTable
        case tableWithNext
        case descriptorsOutside, availableOutside, usedOutside, availableWraps

        func apply(to driver: inout FakeDriver) {
            let good = FakeDriver.Buffer(address: 0x4000, byteCount: 16, isWritable: true)
            let table: UInt64 = 0x5000
            var state = driver.queue.state
            switch self {
            case .loop:
                driver.describe(0, good, next: 1)
                driver.describe(1, good, next: 0)
                driver.offer(0)
            case .selfLoop:
                driver.describe(3, good, next: 3)
                driver.offer(3)
            case .longLoop:
                for index in UInt16(0)..<8 { driver.describe(index, good, next: (index + 1) % 8) }
                driver.offer(0)
            case .beyondTable:
                driver.describe(0, good, next: 8)
                driver.offer(0)
            case .manyAvailable:
                driver.describe(0, good)
                driver.memory.put(UInt16(9), at: FakeDriver.available + 2)
            case .headBeyond: driver.offer(8)
            case .outside: driver.offer([.init(address: 0, byteCount: 8, isWritable: true)])
            case .endOutside:
                driver.offer([.init(address: 0x1_0FFF, byteCount: 2, isWritable: true)])
            case .wrapping:
                driver.offer([.init(address: .max - 3, byteCount: 8, isWritable: true)])
            case .betweenRegions:
                driver.offer([.init(address: 0x1_1000, byteCount: 8, isWritable: true)])
            case .gigantic:
                driver.offer([.init(address: 0x4000, byteCount: .max, isWritable: true)])
            case .readBehindWrite:
                driver.offer([good, .init(address: 0x4000, byteCount: 16)])
            case .nestedTable:
                driver.describe(0, .init(address: table, byteCount: 16, flags: 4), table: table)
                driver.offer([.init(address: table, byteCount: 16, flags: 4)])
            case .loopingTable:
                driver.describe(0, good, next: 0, table: table)
                driver.offer([.init(address: table, byteCount: 16, flags: 4)])
            case .tableOutside: driver.offer([.init(address: 0x800, byteCount: 16, flags: 4)])
            case .emptyTable: driver.offer([.init(address: table, byteCount: 0, flags: 4)])
            case .unevenTable: driver.offer([.init(address: table, byteCount: 24, flags: 4)])
            case .largeTable: driver.offer([.init(address: table, byteCount: 144, flags: 4)])
            case .tableWithNext:
                driver.describe(0, .init(address: table, byteCount: 16, flags: 4), next: 1)
                driver.offer(0)
            case .descriptorsOutside:
                driver.offer([good])
                state.descriptors = 0x20_0000
            case .availableOutside: state.available = 0x20_0000
            case .usedOutside:
                driver.offer([good])
                state.used = 0x20_0000
            case .availableWraps: state.available = .max - 1
            }
            driver.queue = Virtqueue(state)
        }
    }

    @Test(arguments: Attack.allCases)
    mutating func `of a hostile guest breaks down, and nothing else`(attack: Attack) {
        attack.apply(to: &driver)
        #expect(throws: VirtioDefect.self) { try serve() }
        #expect(driver.usedIndex == 0)
    }

    @Test mutating func `survives memory full of anything`() throws {
        var generator = SystemRandomNumberGenerator()
        var outcomes = 0
        for _ in 0..<20_000 {
            // Mostly plausible: small numbers, few flags, addresses that exist.
            for index in UInt16(0)..<8 {
                driver.describe(
                    index,
                    .init(
                        address: UInt64.random(in: 0x0F00...0x1_1100, using: &generator),
                        byteCount: .random(in: 0...96, using: &generator),
                        flags: .random(in: 0...7, using: &generator)
                    )
                )
                let next = UInt16.random(in: 0...9, using: &generator)
                driver.memory.put(next, at: FakeDriver.descriptors + 16 * UInt64(index) + 14)
            }
            driver.offer(.random(in: 0...8, using: &generator))
            do {
                _ = try serve()
                outcomes += 1
            } catch {
                driver.queue = FakeDriver().queue
                driver.memory.put(UInt16(0), at: FakeDriver.available + 2)
            }
        }
        #expect(outcomes > 100)
    }
}
