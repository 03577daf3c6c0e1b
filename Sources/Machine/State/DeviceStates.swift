// SPDX-License-Identifier: Apache-2.0

internal import Devices
internal import FoundationEssentials
internal import MigrationWire

// What devices hold, to and from messages. A message may come from a peer: every value is checked,
// and what is missing is as after a reset.

extension WireSerialPortState {
    init(_ state: SerialState) {
        self.init()
        interruptEnable = UInt32(state.interruptEnable)
        fifoControl = UInt32(state.fifoControl)
        lineControl = UInt32(state.lineControl)
        modemControl = UInt32(state.modemControl)
        scratch = UInt32(state.scratch)
        divisor = UInt32(state.divisor)
        received = Data(state.received)
        hasOverrun_p = state.hasOverrun
        transmitterInterrupt = state.transmitterInterrupt
    }
}

extension SerialState {
    init(_ message: WireSerialPortState) throws(StateDefect) {
        self.init()
        interruptEnable = try narrow(message.interruptEnable, "serial.interrupt_enable", 0x0F)
        fifoControl = try narrow(message.fifoControl, "serial.fifo_control", 0xC1)
        lineControl = try narrow(message.lineControl, "serial.line_control", 0xFF)
        modemControl = try narrow(message.modemControl, "serial.modem_control", 0x1F)
        scratch = try narrow(message.scratch, "serial.scratch", 0xFF)
        if message.hasDivisor {
            divisor = try narrow(message.divisor, "serial.divisor", 0xFFFF)
        }
        guard message.received.count <= SerialPort.receiveCapacity else {
            throw .deviceValue(field: "serial.received", found: UInt64(message.received.count))
        }
        received = [UInt8](message.received)
        hasOverrun = message.hasOverrun_p
        transmitterInterrupt = message.transmitterInterrupt
    }
}

extension WirePowerPortsState {
    init(_ state: PowerState) {
        self.init()
        enabledEvents = UInt32(state.enabledEvents)
        control = UInt32(state.control)
    }
}

extension PowerState {
    init(_ message: WirePowerPortsState) throws(StateDefect) {
        self.init()
        enabledEvents = try narrow(message.enabledEvents, "power.enabled_events", 0xFFFF)
        control = try narrow(message.control, "power.control", 0xFFFF)
    }
}

/// A register whose bits beyond `mask` do not exist.
private func narrow<Value: FixedWidthInteger>(
    _ value: UInt32,
    _ field: String,
    _ mask: UInt32
) throws(StateDefect) -> Value {
    guard value & ~mask == 0 else { throw .deviceValue(field: field, found: UInt64(value)) }
    return Value(value)
}
