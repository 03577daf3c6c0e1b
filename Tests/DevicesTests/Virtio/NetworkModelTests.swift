// SPDX-License-Identifier: Apache-2.0

import Devices
import Testing

private final class FakePort: FramePort, @unchecked Sendable {
    // Sendable: a test has one thread.
    var arriving: [[UInt8]] = []
    var isClosed = false
    var sent: [[UInt8]] = []

    func receive() -> FrameArrival {
        if !arriving.isEmpty { return .frame(arriving.removeFirst()) }
        return isClosed ? .closed : .notYet
    }
    func send(_ frame: [UInt8]) { sent.append(frame) }
}

struct `A virtio network card` {
    private var driver = FakeDriver()
    private let port = FakePort()
    private var card: NetworkModel<FakePort>

    init() throws {
        card = NetworkModel(try #require(EthernetAddress("52:54:00:01:02:03")), port: port)
    }

    private mutating func serve(_ queue: Int) throws(VirtioDefect) -> ServiceOutcome {
        try card.serve(queue, &driver.queue, driver.memory, features: 0)
    }

    @Test mutating func `sends what lies behind the header`() throws {
        for position in UInt64(0)..<60 {
            driver.memory.put(UInt8(position), at: 0x4000 + 12 + position)
        }
        driver.offer([
            .init(address: 0x4000, byteCount: 12), .init(address: 0x400C, byteCount: 60),
        ])
        #expect(try serve(1) == .served(wantsInterrupt: true))
        #expect(port.sent == [(0..<60).map { UInt8($0) }])
    }

    @Test mutating func `receives behind a header, when there is a frame and a buffer`() throws {
        #expect(try serve(0) == .idle)
        port.arriving = [[1, 2, 3]]
        #expect(try serve(0) == .idle)
        driver.offer([.init(address: 0x4000, byteCount: 1526, isWritable: true)])
        #expect(try serve(0) == .served(wantsInterrupt: true))
        #expect(
            driver.memory.bytes(15, at: 0x4000) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 2, 3]
        )
        #expect(driver.lastWritten == 15)
        driver.offer([.init(address: 0x4000, byteCount: 1526, isWritable: true)])
        #expect(try serve(0) == .starved)
        #expect(driver.queue.state.nextAvailable == 1)
    }

    @Test mutating func `waits for nothing once it is plugged in nowhere`() throws {
        port.isClosed = true
        driver.offer([.init(address: 0x4000, byteCount: 1526, isWritable: true)])
        #expect(try serve(0) == .idle)
        #expect(driver.queue.state.nextAvailable == 0)
        #expect(driver.usedIndex == 0)
    }

    @Test mutating func `loses a frame that does not fit, and keeps the buffer`() throws {
        driver.offer([.init(address: 0x4000, byteCount: 64, isWritable: true)])
        port.arriving = [[UInt8](repeating: 0, count: 53), [9]]
        #expect(try serve(0) == .served(wantsInterrupt: false))
        #expect(driver.usedIndex == 0)
        #expect(try serve(0) == .served(wantsInterrupt: true))
        #expect(driver.lastWritten == 13)
    }

    @Test(arguments: [UInt32(0), 11, 12])
    mutating func `breaks down with what is no frame`(count: UInt32) {
        driver.offer([.init(address: 0x4000, byteCount: count)])
        #expect(throws: VirtioDefect.self) { try serve(1) }
        #expect(port.sent.isEmpty)
    }

    @Test mutating func `announces itself`() throws {
        card.announce()
        let frame = try #require(port.sent.first)
        #expect(frame.count == 60)
        #expect(frame.prefix(6).allSatisfy { $0 == 0xFF })
        #expect(Array(frame[6..<14]) == [0x52, 0x54, 0, 1, 2, 3, 0x80, 0x35])
        #expect(frame[21] == 3)
    }

    @Test(
        arguments: ["", "52:54:00:01:02", "52:54:00:01:02:03:04", "53:54:00:01:02:03", "g0:::::"]
    )
    func `has no such address`(text: String) {
        #expect(EthernetAddress(text) == nil)
    }

    @Test func `has an address that is written as it is read`() {
        let address = EthernetAddress.random()
        #expect(EthernetAddress(address.description) == address)
    }
}
