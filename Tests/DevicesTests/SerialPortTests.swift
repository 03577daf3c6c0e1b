// SPDX-License-Identifier: Apache-2.0

import Devices
import Testing

struct `A serial port` {
    private var port = SerialPort()

    @Test mutating func `transmits what is written, and is ready at once`() {
        #expect(port.write(0x41, to: 0) == 0x41)
        #expect(port.read(5) == 0x60)
        #expect(!port.interruptIsPending)
    }

    @Test mutating func `keeps divisor and interrupts apart`() {
        #expect(port.write(0x83, to: 3) == nil)
        #expect(port.write(0x34, to: 0) == nil)
        #expect(port.write(0x12, to: 1) == nil)
        #expect(port.read(0) == 0x34)
        #expect(port.read(1) == 0x12)
        _ = port.write(0x03, to: 3)
        #expect(port.read(1) == 0)
        #expect(port.state.divisor == 0x1234)
    }

    @Test mutating func `interrupts for an empty transmitter until that is read`() {
        _ = port.write(0x02, to: 1)
        #expect(port.interruptIsPending)
        #expect(port.read(2) == 0x02)
        #expect(!port.interruptIsPending)
        #expect(port.read(2) == 0x01)
        _ = port.write(0x41, to: 0)
        #expect(port.interruptIsPending)
    }

    @Test mutating func `looks full while the other end has no room`() {
        _ = port.write(0x02, to: 1)
        port.transmitterBecame(drained: false)
        #expect(port.read(5) == 0)
        _ = port.write(0x41, to: 0)
        #expect(!port.interruptIsPending)
        port.transmitterBecame(drained: true)
        #expect(port.interruptIsPending)
        #expect(port.read(5) == 0x60)
    }

    @Test mutating func `interrupts for received bytes until they are read`() {
        _ = port.write(0x01, to: 2)
        _ = port.write(0x01, to: 1)
        port.receive([1, 2])
        #expect(port.read(2) == 0xC4)
        #expect(port.read(5) == 0x61)
        #expect(port.read(0) == 1)
        #expect(port.interruptIsPending)
        #expect(port.read(0) == 2)
        #expect(!port.interruptIsPending)
        #expect(port.read(0) == 0)
    }

    @Test mutating func `says that bytes wait when they are fewer than it interrupts for`() {
        _ = port.write(0xC1, to: 2)
        _ = port.write(0x01, to: 1)
        port.receive([1])
        #expect(port.read(2) == 0xCC)
        port.receive(2...14)
        #expect(port.read(2) == 0xC4)
    }

    @Test(arguments: [(0, 1), (1, 16)])
    mutating func `holds one byte, or sixteen, and notices the loss of more`(
        fifo: Int,
        capacity: Int
    ) {
        _ = port.write(UInt8(fifo), to: 2)
        #expect(port.receiveRoom == capacity)
        port.receive(repeatElement(7, count: 40))
        #expect(port.receiveRoom == 0)
        #expect(port.state.received.count == capacity)
        #expect(port.read(5) == 0x63)
        #expect(port.read(5) == 0x61)
        _ = port.write(0x04, to: 1)
        port.receive([8])
        #expect(port.read(2) & 0x0F == 0x06)
    }

    @Test mutating func `forgets received bytes when its buffer is cleared`() {
        port.receive([1])
        _ = port.write(0x03, to: 2)
        #expect(port.state.received == [])
        #expect(port.read(2) == 0xC1)
    }

    @Test mutating func `hears itself in loopback, and nobody else`() {
        _ = port.write(0x1A, to: 4)
        #expect(port.read(6) == 0x90)
        #expect(port.write(0x55, to: 0) == nil)
        port.receive([9])
        #expect(port.read(0) == 0x55)
        _ = port.write(0x0B, to: 4)
        #expect(port.read(6) == 0xB0)
    }

    @Test mutating func `keeps what a program looks for to find it`() {
        _ = port.write(0xA5, to: 7)
        #expect(port.read(7) == 0xA5)
        _ = port.write(0xFF, to: 1)
        #expect(port.read(1) == 0x0F)
        _ = port.write(0xFF, to: 4)
        #expect(port.read(4) == 0x1F)
    }

    @Test mutating func `goes on from its saved state`() {
        for register: UInt16 in [1, 2, 3, 4, 7] { _ = port.write(0x57, to: register) }
        _ = port.write(0x07, to: 3)
        _ = port.write(0x0B, to: 4)
        port.receive([1, 2, 3])
        var again = SerialPort(port.state)
        #expect(again == port)
        for register: UInt16 in 0..<8 { #expect(again.read(register) == port.read(register)) }
    }

    @Test mutating func `interrupts at once elsewhere when it was saved full`() {
        _ = port.write(0x02, to: 1)
        _ = port.read(2)
        port.transmitterBecame(drained: false)
        #expect(!port.interruptIsPending)
        #expect(SerialPort(port.state).interruptIsPending)
    }

    @Test mutating func `survives any access in any order`() {
        var seed: UInt64 = 0x9E37_79B9_7F4A_7C15
        for _ in 0..<100_000 {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1
            let register = UInt16(truncatingIfNeeded: seed >> 33)
            let value = UInt8(truncatingIfNeeded: seed >> 50)
            switch seed >> 60 {
            case 0..<7: _ = port.write(value, to: register)
            case 7..<14: _ = port.read(register)
            case 14: port.receive(repeatElement(value, count: Int(value)))
            default: port.transmitterBecame(drained: value & 1 == 0)
            }
            #expect(port.state.received.count <= SerialPort.receiveCapacity)
        }
    }
}
