// SPDX-License-Identifier: Apache-2.0

import Devices
import Testing

/// A disk in an array, which says what was done to it.
private final class FakeDisk: DiskContents, @unchecked Sendable {
    // Sendable: a test has one thread.
    var bytes: [UInt8]
    var deeds: [String] = []
    var fails = false

    init(byteCount: Int) { bytes = (0..<byteCount).map { UInt8($0 / 512 & 0xFF) } }

    func read(into buffer: inout [UInt8], at offset: UInt64) -> Bool {
        deeds.append("read \(buffer.count) at \(offset)")
        buffer = Array(bytes[Int(offset)..<Int(offset) + buffer.count])
        return !fails
    }

    func write(_ piece: [UInt8], at offset: UInt64) -> Bool {
        deeds.append("write \(piece.count) at \(offset)")
        bytes.replaceSubrange(Int(offset)..<Int(offset) + piece.count, with: piece)
        return !fails
    }

    func flush() -> Bool {
        deeds.append("flush")
        return !fails
    }
}

struct `A virtio disk` {
    private var driver = FakeDriver()
    private let disk = FakeDisk(byteCount: 64 << 10)

    private static let flush: UInt64 = 1 << 9
    private static let status: UInt64 = 0x1_0800

    private func shape(_ block: UInt32 = 512, isReadOnly: Bool = false) -> DiskShape {
        DiskShape(byteCount: 64 << 10, blockByteCount: block, isReadOnly: isReadOnly)
    }

    /// A request with a buffer of data at 0x8000.
    ///
    /// - Returns: Its status.
    private mutating func request(
        _ operation: UInt32,
        sector: UInt64 = 0,
        reads: UInt32 = 0,
        writes: UInt32 = 0,
        features: UInt64 = flush,
        of shape: DiskShape? = nil
    ) throws -> UInt64 {
        driver.memory.put(operation, at: 0x4000)
        driver.memory.put(sector, at: 0x4008)
        driver.memory.put(UInt8(0xEE), at: Self.status)
        // The header in two pieces: how it is cut is the driver's affair.
        var buffers = [
            FakeDriver.Buffer(address: 0x4000, byteCount: 5),
            FakeDriver.Buffer(address: 0x4005, byteCount: 11),
        ]
        if writes > 0 { buffers.append(.init(address: 0x8000, byteCount: writes)) }
        if reads > 0 { buffers.append(.init(address: 0x8000, byteCount: reads, isWritable: true)) }
        buffers.append(.init(address: Self.status, byteCount: 1, isWritable: true))
        driver.offer(buffers)
        var model = BlockModel(shape ?? self.shape(), name: "disk", contents: disk)
        let outcome = try model.serve(0, &driver.queue, driver.memory, features: features)
        #expect(outcome == .served(wantsInterrupt: true))
        return driver.memory.get(1, at: Self.status)
    }

    @Test mutating func `reads`() throws {
        #expect(try request(0, sector: 3, reads: 1024) == 0)
        #expect(driver.memory.bytes(1024, at: 0x8000) == Array(disk.bytes[1536..<2560]))
        #expect(driver.lastWritten == 1025)
    }

    @Test mutating func `writes, and is durable when it was flushed`() throws {
        driver.memory.put(UInt64(0x1122_3344_5566_7788), at: 0x8000)
        #expect(try request(1, sector: 2, writes: 512) == 0)
        #expect(disk.bytes[1024] == 0x88)
        #expect(driver.lastWritten == 1)
        #expect(try request(4) == 0)
        #expect(disk.deeds == ["write 512 at 1024", "flush"])
    }

    @Test mutating func `is durable at once for a driver that cannot flush`() throws {
        #expect(try request(1, writes: 512, features: 0) == 0)
        #expect(disk.deeds == ["write 512 at 0", "flush"])
    }

    @Test mutating func `says its name`() throws {
        #expect(try request(8, reads: 20) == 0)
        #expect(driver.memory.bytes(6, at: 0x8000) == Array("disk".utf8) + [0, 0])
    }

    @Test mutating func `does not know every request`() throws {
        #expect(try request(77) == 2)
        #expect(disk.deeds.isEmpty)
    }

    @Test(
        arguments: [
            (128, 512), (127, 1024), (0, 513), (0, 0), (.max, 512),
            (UInt64.max / 512, 512), (1 << 55, 512),
        ] as [(UInt64, UInt32)]
    )
    mutating func `refuses what is not on it, or no blocks`(sector: UInt64, count: UInt32) throws {
        for operation in [UInt32(0), 1] {
            let status = try request(
                operation,
                sector: sector,
                reads: operation == 0 ? count : 0,
                writes: operation == 1 ? count : 0
            )
            #expect(status == 1)
        }
        #expect(disk.deeds.isEmpty)
    }

    @Test mutating func `of large blocks refuses small ones`() throws {
        #expect(try request(0, sector: 1, reads: 4096, of: shape(4096)) == 1)
        #expect(try request(0, sector: 8, reads: 512, of: shape(4096)) == 1)
        #expect(try request(0, sector: 8, reads: 4096, of: shape(4096)) == 0)
    }

    @Test mutating func `that is read-only is not written`() throws {
        #expect(try request(1, writes: 512, of: shape(isReadOnly: true)) == 1)
        #expect(disk.deeds.isEmpty)
        let registers = VirtioRegisters(
            BlockModel(shape(isReadOnly: true), name: "", contents: disk).identity
        )
        #expect(registers.read(byteCount: 4, at: 0x10) & 1 << 5 != 0)
    }

    @Test mutating func `says when the host failed`() throws {
        disk.fails = true
        #expect(try request(0, reads: 512) == 1)
        #expect(try request(1, writes: 512) == 1)
        #expect(try request(4) == 1)
    }

    @Test mutating func `tells its size`() {
        let registers = VirtioRegisters(BlockModel(shape(), name: "", contents: disk).identity)
        #expect(registers.read(byteCount: 8, at: 0x100) == 128)
        #expect(registers.read(byteCount: 4, at: 0x114) == 512)
        #expect(registers.read(byteCount: 8, at: 0xFFC) == 0)
    }

    @Test mutating func `breaks down with a request that is none`() {
        var model = BlockModel(shape(), name: "", contents: disk)
        for buffers: [FakeDriver.Buffer] in [
            [.init(address: 0x4000, byteCount: 16)],
            [.init(address: 0x4000, byteCount: 1, isWritable: true)],
            [
                .init(address: 0x4000, byteCount: 15),
                .init(address: 0x4800, byteCount: 1, isWritable: true),
            ],
        ] {
            driver = FakeDriver()
            driver.offer(buffers)
            #expect(throws: VirtioDefect.self) {
                try model.serve(0, &driver.queue, driver.memory, features: 0)
            }
        }
        #expect(disk.deeds.isEmpty)
    }

    @Test mutating func `writes nothing that it has read of lost memory`() {
        // Head, four descriptors, two pieces of a header; then the data would come.
        driver.memory.readsLeft = 7
        #expect(throws: VirtioDefect.memoryLost) { try request(1, writes: 512) }
        #expect(disk.deeds.isEmpty)
        #expect(driver.usedIndex == 0)
    }
}
