// SPDX-License-Identifier: Apache-2.0

internal import Devices
internal import KVM
internal import LinuxSystem

/// The guest's serial port with what it hangs on: its interrupt line, and a thread that carries
/// bytes to and from the other end of the console.
///
/// Output waits in a bounded buffer; while that is full the transmitter looks full to the guest,
/// so that nothing is lost and no vCPU ever waits for whoever reads the console.
final class SerialLine: Sendable {
    /// Registers begin at this port.
    static let port: UInt16 = 0x3F8
    private static let interrupt: UInt32 = 4
    private static let bufferByteCount = 1 << 16

    private struct Line {
        var port = SerialPort()
        var level = LineLevel.low
        /// Written by the guest, not yet taken by the other end.
        var output: [UInt8] = []
        var takesInput = false
        /// Set when the thread is to end: by then at the latest.
        var deadline: MonotonicTime?
    }

    private let line = Locked(Line())
    private let end: ConsoleEnd
    private let thread = ConsoleThread()
    /// There is output, room for input, or an order to stop.
    private let work: EventFD
    private let virtualMachine: VirtualMachine

    init(_ virtualMachine: VirtualMachine, console: ConsoleTarget) throws(SystemError) {
        self.virtualMachine = virtualMachine
        work = try EventFD()
        end = try ConsoleEnd(console)
    }

    /// The guest writes a register.
    func write(_ value: UInt8, to register: UInt16) {
        let hasWork = line.withLock { line in
            let wasIdle = line.output.isEmpty
            if let byte = line.port.write(value, to: register),
                line.output.count < Self.bufferByteCount
            {
                line.output.append(byte)
            }
            update(&line)
            return wasIdle && !line.output.isEmpty
        }
        if hasWork { work.signal() }
    }

    /// The guest reads a register.
    func read(_ register: UInt16) -> UInt8 {
        let (value, hasRoom) = line.withLock { line in
            let room = line.port.receiveRoom
            let value = line.port.read(register)
            update(&line)
            return (value, line.port.receiveRoom > room)
        }
        if hasRoom { work.signal() }
        return value
    }

    /// What is to be saved.
    var state: SerialState { line.withLock { $0.port.state } }

    /// Takes over what was saved; the guest does not run.
    func load(_ state: SerialState) {
        line.withLock { line in
            line.port = SerialPort(state)
            // An edge for what is pending, although the controllers may have had it already: one
            // too many is found to be for nothing, one too few would never be noticed.
            line.level = .low
            virtualMachine.setInterruptLine(Self.interrupt, .low)
            update(&line)
        }
    }

    /// Lets input in, or keeps it out: what has not come in stays with whoever sent it.
    func takeInput(_ takes: Bool) {
        line.withLock { $0.takesInput = takes }
        work.signal()
    }

    /// Moves the port's interrupt to its line, and tells the port whether there is room.
    private func update(_ line: inout Line) {
        let room = Self.bufferByteCount - line.output.count
        line.port.transmitterBecame(drained: room >= SerialPort.transmitBurst)
        let level: LineLevel = line.port.interruptIsPending ? .high : .low
        guard level != line.level else { return }
        line.level = level
        virtualMachine.setInterruptLine(Self.interrupt, level)
    }
}

extension SerialLine {
    /// Starts the thread, once.
    func start() throws(SystemError) {
        try thread.start("console") { [self] in carry() }
    }

    /// Ends the thread when it has written what there is, or after a second.
    func stop() {
        let deadline = MonotonicTime.now.advanced(by: ConsoleThread.lastOutputLimit)
        line.withLock { $0.deadline = deadline }
        work.signal()
        thread.join(by: deadline)
    }

    /// Body of the thread.
    private func carry() {
        var end = end
        while true {
            if !end.takesOutput { dropOutput() }
            let (hasOutput, room, deadline) = line.withLock { line in
                let room = line.takesInput ? line.port.receiveRoom : 0
                return (!line.output.isEmpty, room, line.deadline)
            }
            if let deadline, !hasOutput || .now >= deadline { return }
            let ready = waitUntilReady(
                readable: [
                    work.rawDescriptor, room > 0 ? end.inputDescriptor : -1,
                    end.arrivalDescriptor,
                ],
                writable: hasOutput ? end.outputDescriptor : -1,
                timeout: deadline?.remaining
            )
            if ready.readable[0] { work.clear() }
            if ready.readable[2] { end.acceptClient() }
            if ready.readable[1] { takeIn(from: &end) }
            if ready.isWritable { writeOut(to: &end) }
        }
    }

    /// Takes input that is ready.
    ///
    /// Under the lock, so that whatever is read reaches the port before a pause does; it is held
    /// for no longer than a read takes that does not wait.
    private func takeIn(from end: inout ConsoleEnd) {
        line.withLock { line in
            guard line.takesInput, line.port.receiveRoom > 0 else { return }
            line.port.receive(end.read(limit: line.port.receiveRoom))
            update(&line)
        }
    }

    private func writeOut(to end: inout ConsoleEnd) {
        let pending = line.withLock { $0.output }
        let count = end.write(pending)
        if count == nil { end.dropClient() }
        line.withLock { line in
            // Only this thread removes, so those bytes are still the first.
            line.output.removeFirst(count ?? pending.count)
            update(&line)
        }
    }

    private func dropOutput() {
        line.withLock { line in
            line.output = []
            update(&line)
        }
    }
}
