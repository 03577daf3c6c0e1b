// SPDX-License-Identifier: Apache-2.0

import Devices
import Testing

private final class FakeStream: ConsoleStream, @unchecked Sendable {
    // Sendable: a test has one thread.
    var input: [UInt8] = []
    var output: [UInt8] = []
    var room = 1 << 16

    func take(_ limit: Int) -> [UInt8] {
        defer { input.removeFirst(min(limit, input.count)) }
        return Array(input.prefix(limit))
    }

    func give(_ bytes: [UInt8]) { output += bytes }
}

struct `A virtio console` {
    private var driver = FakeDriver()
    private let stream = FakeStream()
    private var console: ConsoleModel<FakeStream>

    init() {
        console = ConsoleModel(stream)
    }

    private mutating func serve(_ queue: Int) throws(VirtioDefect) -> ServiceOutcome {
        try console.serve(queue, &driver.queue, driver.memory, features: 0)
    }

    @Test mutating func `says what is written`() throws {
        driver.memory.put(UInt16(0x6968), at: 0x4000)
        driver.offer([.init(address: 0x4000, byteCount: 2)])
        #expect(try serve(1) == .served(wantsInterrupt: true))
        #expect(stream.output == Array("hi".utf8))
    }

    @Test mutating func `keeps what there is no room for`() throws {
        driver.memory.put(UInt16(0x6968), at: 0x4000)
        driver.offer([.init(address: 0x4000, byteCount: 2)])
        stream.room = 1
        #expect(try serve(1) == .starved)
        #expect(stream.output.isEmpty)
        stream.room = 2
        #expect(try serve(1) == .served(wantsInterrupt: true))
        #expect(stream.output == Array("hi".utf8))
    }

    @Test mutating func `hears what fits, and the rest later`() throws {
        stream.input = Array("hello".utf8)
        for expected in ["hel", "lo"] {
            driver.offer([.init(address: 0x4000, byteCount: 3, isWritable: true)])
            #expect(try serve(0) == .served(wantsInterrupt: true))
            #expect(Int(driver.lastWritten) == expected.utf8.count)
            #expect(
                driver.memory.bytes(expected.utf8.count, at: 0x4000) == Array(expected.utf8)
            )
        }
        driver.offer([.init(address: 0x4000, byteCount: 3, isWritable: true)])
        #expect(try serve(0) == .starved)
    }

    @Test mutating func `goes on past a buffer without bytes`() throws {
        driver.offer([.init(address: 0x4000, byteCount: 0, isWritable: true)])
        #expect(try serve(0) == .served(wantsInterrupt: true))
        #expect(driver.lastWritten == 0)
    }
}
