// SPDX-License-Identifier: Apache-2.0

/// What a serial port holds; a new value is the state after a reset.
package struct SerialState: Equatable, Sendable {
    /// Interrupts that are enabled, bits 0 to 3.
    package var interruptEnable: UInt8 = 0
    /// FIFO control: bit 0 enabled, bits 6 and 7 the level it interrupts at.
    package var fifoControl: UInt8 = 0
    /// Line control; bit 7 selects the divisor.
    package var lineControl: UInt8 = 0
    /// Modem control, bits 0 to 4.
    package var modemControl: UInt8 = 0
    /// A byte that means nothing.
    package var scratch: UInt8 = 0
    /// Divisor of the clock; 12 is 9600 baud.
    package var divisor: UInt16 = 12
    /// Bytes received and not read, oldest first; at most ``SerialPort/receiveCapacity``.
    package var received: [UInt8] = []
    /// Whether bytes were lost since the guest last looked.
    package var hasOverrun = false
    /// Whether the transmitter has become empty since the guest last looked.
    package var transmitterInterrupt = false

    /// After a reset.
    package init() {}
}
