// SPDX-License-Identifier: Apache-2.0

/// The ports by which a guest ends itself: ACPI's power management registers, the keyboard
/// controller's reset, and the chipset's.
///
/// No access can fail, whatever a guest writes.
package struct PowerPorts: Equatable, Sendable {
    /// Everything there is to save.
    package private(set) var state: PowerState

    /// What a guest asks for with a write.
    package enum Request: Sendable {
        /// Power off (S5).
        case powerOff
        /// Reset the machine.
        case reset
    }

    /// First port of the event registers, as the ACPI tables say.
    package static let eventPort: UInt16 = 0x600
    /// Port of the control register.
    package static let controlPort: UInt16 = 0x604
    /// Type of sleep that means power off, as the ACPI tables say.
    package static let powerOffType: UInt8 = 5
    /// Command port of the keyboard controller.
    package static let resetPort: UInt16 = 0x64
    /// The command that pulses the reset line.
    package static let resetCommand: UInt8 = 0xFE
    /// Reset control register of the chipset.
    private static let chipsetResetPort: UInt16 = 0xCF9

    /// Ports after a reset, or as they were saved.
    package init(_ state: PowerState = PowerState()) {
        self.state = state
    }

    /// Whether a port is one of these.
    package static func has(_ port: UInt16) -> Bool {
        switch port {
        case eventPort..<controlPort + 2, 0x60, resetPort, chipsetResetPort: true
        default: false
        }
    }

    /// The guest writes one to four bytes, the first of them to `port`.
    package mutating func write(_ value: UInt32, byteCount: Int, to port: UInt16) -> Request? {
        for position in 0..<byteCount {
            let byte = UInt8(truncatingIfNeeded: value >> (8 * UInt32(position)))
            if let request = write(byte, to: port &+ UInt16(position)) { return request }
        }
        return nil
    }

    /// The guest reads one to four bytes, the first of them from `port`.
    package func read(byteCount: Int, from port: UInt16) -> UInt32 {
        (0..<byteCount).reduce(0) { value, position in
            value | UInt32(read(port &+ UInt16(position))) << (8 * UInt32(position))
        }
    }

    private mutating func write(_ byte: UInt8, to port: UInt16) -> Request? {
        switch port {
        case Self.resetPort: return byte == Self.resetCommand ? .reset : nil
        // Bit 2 resets, bit 1 says how.
        case Self.chipsetResetPort: return byte & 4 != 0 ? .reset : nil
        // There are no events, so no status to clear.
        case Self.eventPort + 2: state.enabledEvents = state.enabledEvents & 0xFF00 | UInt16(byte)
        case Self.eventPort + 3:
            state.enabledEvents = state.enabledEvents & 0x00FF | UInt16(byte) << 8
        case Self.controlPort: state.control = state.control & 0xFF00 | UInt16(byte)
        case Self.controlPort + 1:
            let isSleep = byte & 0x20 != 0
            // The bit that enters a sleep is never read back.
            state.control = state.control & 0x00FF | UInt16(byte & ~0x20) << 8
            if isSleep && byte >> 2 & 7 == Self.powerOffType { return .powerOff }
        default: break
        }
        return nil
    }

    private func read(_ port: UInt16) -> UInt8 {
        switch port {
        case Self.eventPort + 2: UInt8(state.enabledEvents & 0xFF)
        case Self.eventPort + 3: UInt8(state.enabledEvents >> 8)
        // Bit 0: ACPI is on, and nobody else has these registers.
        case Self.controlPort: UInt8(state.control & 0xFF) | 1
        case Self.controlPort + 1: UInt8(state.control >> 8)
        default: 0
        }
    }
}
