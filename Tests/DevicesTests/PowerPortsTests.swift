// SPDX-License-Identifier: Apache-2.0

import Devices
import Testing

struct `Power ports` {
    private var ports = PowerPorts()

    @Test(arguments: [UInt32(0x3400), 0x3401])
    mutating func `power off when a sleep of that type is entered`(value: UInt32) {
        #expect(ports.write(0x1401, byteCount: 2, to: 0x604) == nil)
        #expect(ports.write(value, byteCount: 2, to: 0x604) == .powerOff)
        #expect(ports.read(byteCount: 2, from: 0x604) & 0x2000 == 0)
    }

    @Test mutating func `ignore other sleeps`() {
        for type in UInt32(0)..<8 where type != 5 {
            #expect(ports.write(0x2000 | type << 10, byteCount: 2, to: 0x604) == nil)
        }
    }

    @Test mutating func `reset by the keyboard controller and by the chipset`() {
        #expect(ports.write(0xFE, byteCount: 1, to: 0x64) == .reset)
        #expect(ports.write(0xFF, byteCount: 1, to: 0x64) == nil)
        #expect(ports.read(byteCount: 1, from: 0x64) == 0)
        #expect(ports.write(0x02, byteCount: 1, to: 0xCF9) == nil)
        #expect(ports.write(0x06, byteCount: 1, to: 0xCF9) == .reset)
    }

    @Test mutating func `hold what events are enabled, and have none`() {
        #expect(ports.write(0x0521_FFFF, byteCount: 4, to: 0x600) == nil)
        #expect(ports.read(byteCount: 4, from: 0x600) == 0x0521_0000)
        #expect(ports.read(byteCount: 2, from: 0x602) == 0x0521)
        #expect(PowerPorts(ports.state) == ports)
    }

    @Test mutating func `say that ACPI is on`() {
        #expect(ports.read(byteCount: 2, from: 0x604) == 1)
    }

    @Test(arguments: [UInt16(0x5FF), 0x606, 0x61, 0x3F8, 0])
    func `are few`(port: UInt16) {
        #expect(!PowerPorts.has(port))
    }

    @Test mutating func `survive any access`() {
        for port in UInt16.min...UInt16.max {
            for byteCount in [1, 2, 4] {
                _ = ports.write(.max, byteCount: byteCount, to: port)
                _ = ports.read(byteCount: byteCount, from: port)
            }
        }
    }
}
