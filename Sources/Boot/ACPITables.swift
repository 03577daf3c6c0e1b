// SPDX-License-Identifier: Apache-2.0

internal import Devices

/// The ACPI tables of a guest: processors, interrupt controllers, and how to power off.
///
/// Not "hardware-reduced": then Linux would leave out the old interrupts, the serial port's
/// among them. ACPI specification 6.5, chapter 5.
struct ACPITables {
    /// Where they lie, the RSDP first: in the firmware's area below 1 MiB.
    static let address: UInt64 = 0xE_0000

    /// All of them.
    let bytes: [UInt8]

    private enum Interrupts {
        static let localAddress: UInt32 = 0xFEE0_0000
        static let ioAddress: UInt32 = 0xFEC0_0000
        /// The line of ACPI itself; no event ever raises it.
        static let system: UInt8 = 9
    }

    private static let headerByteCount = 36

    /// - Parameter vCPUCount: 1 to 64; the number of each is its APIC id.
    init(vCPUCount: Int) {
        var bytes = [UInt8](repeating: 0, count: 64)
        func append(_ table: [UInt8]) -> UInt64 {
            let address = Self.address + UInt64(bytes.count)
            bytes += table
            bytes += repeatElement(0, count: -bytes.count & 15)
            return address
        }
        // Firmware's own control structure: only there because it has to be.
        let control = append(Self.facs)
        let code = append(Self.table("DSDT", revision: 2, Self.powerOffCode))
        let fixed = append(Self.fadt(control: control, code: code))
        let controllers = append(Self.madt(vCPUCount))
        let root = append(
            Self.table("XSDT", revision: 1, Self.little(fixed) + Self.little(controllers))
        )
        bytes.replaceSubrange(0..<36, with: Self.rsdp(root))
        self.bytes = bytes
    }

    /// `Name (_S5, Package () { 5, 5, 0, 0 })`: what to write to power off.
    private static let powerOffCode: [UInt8] = [
        0x08, 0x5F, 0x53, 0x35, 0x5F, 0x12, 0x08, 0x04, 0x0A, PowerPorts.powerOffType,
        0x0A, PowerPorts.powerOffType, 0x00, 0x00,
    ]

    private static let facs: [UInt8] = {
        var bytes = [UInt8]("FACS".utf8) + [UInt8](repeating: 0, count: 60)
        bytes.store(UInt32(64), at: 4)
        bytes.store(UInt8(2), at: 32)
        return bytes
    }()

    private static func rsdp(_ root: UInt64) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 36)
        bytes.replaceSubrange(0..<8, with: Array("RSD PTR ".utf8))
        bytes.replaceSubrange(9..<15, with: Array("APUS  ".utf8))
        bytes.store(UInt8(2), at: 15)
        bytes.store(UInt32(36), at: 20)
        bytes.store(root, at: 24)
        bytes[8] = checksum(bytes[..<20])
        bytes[32] = checksum(bytes[...])
        return bytes
    }

    private static func fadt(control: UInt64, code: UInt64) -> [UInt8] {
        var body = [UInt8](repeating: 0, count: 276 - headerByteCount)
        func at(_ offset: Int) -> Int { offset - headerByteCount }
        body.store(UInt32(control), at: at(36))
        body.store(UInt32(code), at: at(40))
        body.store(UInt16(Interrupts.system), at: at(46))
        body.store(UInt32(PowerPorts.eventPort), at: at(56))
        body.store(UInt32(PowerPorts.controlPort), at: at(64))
        body.store(UInt8(4), at: at(88))
        body.store(UInt8(2), at: at(89))
        // How long C2 and C3 take: longer than makes sense, so there are none.
        body.store(UInt16(101), at: at(96))
        body.store(UInt16(1001), at: at(98))
        // What a PC has and this has not: no VGA, no real-time clock; what it has: old devices.
        body.store(UInt16(1 | 1 << 2 | 1 << 5), at: at(109))
        // WBINVD works; no power or sleep button in these registers; there is a reset register.
        body.store(UInt32(1 | 1 << 4 | 1 << 5 | 1 << 10), at: at(112))
        body.replaceSubrange(
            at(116)..<at(128),
            with: port(PowerPorts.resetPort, byteCount: 1)
        )
        body.store(PowerPorts.resetCommand, at: at(128))
        body.store(UInt8(3), at: at(131))
        body.store(code, at: at(140))
        body.replaceSubrange(at(148)..<at(160), with: port(PowerPorts.eventPort, byteCount: 4))
        body.replaceSubrange(at(172)..<at(184), with: port(PowerPorts.controlPort, byteCount: 2))
        return table("FACP", revision: 6, body)
    }

    /// A generic address in the space of ports.
    private static func port(_ port: UInt16, byteCount: UInt8) -> [UInt8] {
        [1, byteCount * 8, 0, byteCount == 1 ? 1 : 2] + little(UInt64(port))
    }

    private static func madt(_ vCPUCount: Int) -> [UInt8] {
        var body = little(Interrupts.localAddress) + little(UInt32(1))  // there are PICs, too
        for index in 0..<vCPUCount {
            body += [0, 8, UInt8(index), UInt8(index)] + little(UInt32(1))
        }
        body += [1, 12, 0, 0] + little(Interrupts.ioAddress) + little(UInt32(0))
        // Lines are numbered alike by all controllers; only ACPI's own is level, active high.
        body += [2, 10, 0, Interrupts.system] + little(UInt32(Interrupts.system)) + [0x0D, 0]
        // NMIs come by LINT1 everywhere.
        body += [4, 6, 0xFF, 0, 0, 1]
        return table("APIC", revision: 5, body)
    }

    private static func table(_ signature: String, revision: UInt8, _ body: [UInt8]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: headerByteCount) + body
        bytes.replaceSubrange(0..<4, with: Array(signature.utf8))
        bytes.store(UInt32(bytes.count), at: 4)
        bytes[8] = revision
        bytes.replaceSubrange(10..<16, with: Array("APUS  ".utf8))
        bytes.replaceSubrange(16..<24, with: Array("APUS    ".utf8))
        bytes.store(UInt32(1), at: 24)
        bytes.replaceSubrange(28..<32, with: Array("APUS".utf8))
        bytes.store(UInt32(1), at: 32)
        bytes[9] = checksum(bytes[...])
        return bytes
    }

    /// The byte that makes the sum of all zero.
    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt8 {
        0 &- bytes.reduce(0, &+)
    }

    private static func little<Value: FixedWidthInteger & UnsignedInteger>(
        _ value: Value
    ) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Value.bitWidth / 8)
        bytes.store(value, at: 0)
        return bytes
    }
}
