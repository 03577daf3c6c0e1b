// SPDX-License-Identifier: Apache-2.0

/// A 16550A serial port as its registers show it to a guest.
///
/// A value: what it transmits comes out of `write`, what it receives goes into `receive`, and
/// whoever owns it moves `interruptIsPending` to its interrupt line after each of them. There is
/// no rate: a byte is gone as soon as it is written, unless the other end has no room.
///
/// No access can fail, whatever a guest writes.
package struct SerialPort: Equatable, Sendable {
    private var registers: SerialState
    /// Whether the other end takes bytes; not saved, it is not the guest's.
    private var isDrained = true

    /// Everything there is to save.
    ///
    /// A guest that waits for a full transmitter would wait for ever where another end has room
    /// from the start: it is saved as one that has just become empty.
    package var state: SerialState {
        var state = registers
        if !isDrained { state.transmitterInterrupt = true }
        return state
    }

    /// Registers of the port, from its base address on.
    package static let registerCount: UInt16 = 8
    /// Bytes that its receive buffer holds.
    package static let receiveCapacity = 16
    /// Bytes that a guest may write in a row once it has seen an empty transmitter.
    package static let transmitBurst = 16

    /// A port after a reset, or as it was saved.
    package init(_ state: SerialState = SerialState()) {
        registers = state
    }

    /// Whether the port asks for attention.
    package var interruptIsPending: Bool { cause != .none }

    /// How many bytes can be received.
    package var receiveRoom: Int {
        let capacity = hasFIFO ? Self.receiveCapacity : 1
        return max(0, capacity - registers.received.count)
    }

    /// Takes bytes from the other end; those beyond `receiveRoom` are lost, as on a real line.
    package mutating func receive(_ bytes: some Sequence<UInt8>) {
        // In loopback the line is cut.
        guard !isLoop else { return }
        for byte in bytes { take(byte) }
    }

    /// Says whether the other end has room for at least ``transmitBurst`` bytes.
    ///
    /// While it has none, the transmitter looks full to the guest.
    package mutating func transmitterBecame(drained: Bool) {
        if drained && !isDrained { registers.transmitterInterrupt = true }
        isDrained = drained
    }

    /// The guest writes a register.
    ///
    /// - Parameters:
    ///   - value: The byte.
    ///   - register: Its number; only the lowest three bits count.
    /// - Returns: The byte that is transmitted, if it is one.
    package mutating func write(_ value: UInt8, to register: UInt16) -> UInt8? {
        switch register & 7 {
        case 0 where selectsDivisor:
            registers.divisor = registers.divisor & 0xFF00 | UInt16(value)
        case 0:
            return transmit(value)
        case 1 where selectsDivisor:
            registers.divisor = registers.divisor & 0x00FF | UInt16(value) << 8
        case 1:
            let enabled = value & Enable.all
            let isNew = enabled & ~registers.interruptEnable
            registers.interruptEnable = enabled
            if isNew & Enable.transmitter != 0 && isDrained {
                registers.transmitterInterrupt = true
            }
        case 2:
            registers.fifoControl = value & FIFO.kept
            if value & FIFO.clearReceived != 0 { registers.received = [] }
        case 3: registers.lineControl = value
        case 4: registers.modemControl = value & 0x1F
        case 7: registers.scratch = value
        default: break  // status registers are not written
        }
        return nil
    }

    /// The guest reads a register, which may change what comes next.
    ///
    /// - Parameter register: Its number; only the lowest three bits count.
    /// - Returns: The byte.
    package mutating func read(_ register: UInt16) -> UInt8 {
        switch register & 7 {
        case 0 where selectsDivisor: return UInt8(registers.divisor & 0xFF)
        case 0: return registers.received.isEmpty ? 0 : registers.received.removeFirst()
        case 1 where selectsDivisor: return UInt8(registers.divisor >> 8)
        case 1: return registers.interruptEnable
        case 2: return identify()
        case 3: return registers.lineControl
        case 4: return registers.modemControl
        case 5: return lineStatus()
        case 6: return modemStatus
        default: return registers.scratch
        }
    }
}

extension SerialPort {
    private enum Enable {
        static let receiver: UInt8 = 1
        static let transmitter: UInt8 = 2
        static let lineStatus: UInt8 = 4
        static let all: UInt8 = 0x0F
    }

    private enum FIFO {
        static let enabled: UInt8 = 1
        static let clearReceived: UInt8 = 2
        /// Bits that stay: enabled, and from how many bytes on it interrupts.
        static let kept: UInt8 = 0xC1
    }

    private enum Line {
        static let dataReady: UInt8 = 0x01
        static let overrun: UInt8 = 0x02
        /// Holding register and shift register.
        static let transmitterEmpty: UInt8 = 0x60
    }

    /// What an interrupt is about, as its register says it.
    private enum Cause: UInt8 {
        case none = 0x01
        case transmitter = 0x02
        case received = 0x04
        case lineStatus = 0x06
        case timeout = 0x0C
    }

    private var selectsDivisor: Bool { registers.lineControl & 0x80 != 0 }
    private var hasFIFO: Bool { registers.fifoControl & FIFO.enabled != 0 }
    private var isLoop: Bool { registers.modemControl & 0x10 != 0 }

    private var trigger: Int {
        guard hasFIFO else { return 1 }
        return [1, 4, 8, 14][Int(registers.fifoControl >> 6)]
    }

    private var cause: Cause {
        let enabled = registers.interruptEnable
        if registers.hasOverrun && enabled & Enable.lineStatus != 0 { return .lineStatus }
        if enabled & Enable.receiver != 0 && !registers.received.isEmpty {
            return registers.received.count >= trigger ? .received : .timeout
        }
        if registers.transmitterInterrupt && enabled & Enable.transmitter != 0 {
            return .transmitter
        }
        return .none
    }

    private mutating func identify() -> UInt8 {
        let cause = cause
        // Read is acknowledged.
        if cause == .transmitter { registers.transmitterInterrupt = false }
        return cause.rawValue | (hasFIFO ? 0xC0 : 0)
    }

    private mutating func lineStatus() -> UInt8 {
        var status: UInt8 = isDrained ? Line.transmitterEmpty : 0
        if !registers.received.isEmpty { status |= Line.dataReady }
        if registers.hasOverrun { status |= Line.overrun }
        registers.hasOverrun = false
        return status
    }

    /// Carrier, data set ready, clear to send; in loopback what the guest itself has set.
    private var modemStatus: UInt8 {
        guard isLoop else { return 0xB0 }
        let control = registers.modemControl
        return (control & 0x01) << 5 | (control & 0x02) << 3 | (control & 0x0C) << 4
    }

    private mutating func transmit(_ value: UInt8) -> UInt8? {
        // Gone at once: the transmitter is empty again.
        registers.transmitterInterrupt = isDrained
        if isLoop {
            take(value)
            return nil
        }
        return value
    }

    private mutating func take(_ byte: UInt8) {
        guard receiveRoom > 0 else {
            registers.hasOverrun = true
            return
        }
        registers.received.append(byte)
    }
}
