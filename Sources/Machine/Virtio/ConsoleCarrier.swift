// SPDX-License-Identifier: Apache-2.0

internal import Devices
internal import LinuxSystem

/// The other end of a virtio console, with a thread that waits for it.
///
/// Input is read only when the guest has room for it: what has not come in at a pause stays with
/// whoever sent it. Output waits in a bounded buffer, which this process delivers wherever the
/// guest goes on.
final class ConsoleCarrier: ConsoleStream {
    private struct Carriage {
        var end: ConsoleEnd
        /// Written by the guest, not yet taken by the other end.
        var output: [UInt8] = []
        /// Whether the guest waits for input.
        var isWanted = false
        /// Set when the thread is to end: by then at the latest.
        var deadline: MonotonicTime?
    }

    private let carriage: Locked<Carriage>
    private let thread = ConsoleThread()
    /// Tells this thread: there is output, a wish for input, or an order to stop.
    private let work: EventFD
    /// Tells the device: there is input, or room for output.
    private let device: EventFD

    private static let bufferByteCount = 2 * ConsoleModel<ConsoleCarrier>.mostOutputBytes

    init(_ target: ConsoleTarget, signalling device: EventFD) throws(SystemError) {
        carriage = Locked(Carriage(end: try ConsoleEnd(target)))
        work = try EventFD()
        self.device = device
    }

    func take(_ limit: Int) -> [UInt8] {
        let bytes = carriage.withLock { carriage -> [UInt8] in
            let input = carriage.end.inputDescriptor
            let ready = waitUntilReady(readable: [input], writable: -1, timeout: .zero)
            let bytes = ready.readable[0] ? carriage.end.read(limit: limit) : []
            carriage.isWanted = bytes.isEmpty
            return bytes
        }
        if bytes.isEmpty { work.signal() }
        return bytes
    }

    var room: Int {
        carriage.withLock { $0.end.takesOutput ? Self.bufferByteCount - $0.output.count : .max }
    }

    func give(_ bytes: [UInt8]) {
        carriage.withLock { carriage in
            if carriage.end.takesOutput { carriage.output += bytes }
        }
        work.signal()
    }

    /// Starts the thread, once.
    func start() throws(SystemError) {
        try thread.start("virtio-console") { [self] in carry() }
    }

    /// Ends the thread when it has written what there is, or after a second.
    func stop() {
        let deadline = MonotonicTime.now.advanced(by: ConsoleThread.lastOutputLimit)
        carriage.withLock { $0.deadline = deadline }
        work.signal()
        thread.join(by: deadline)
    }

    /// Body of the thread.
    private func carry() {
        while true {
            let now = carriage.withLock { $0 }
            if let deadline = now.deadline, now.output.isEmpty || .now >= deadline { return }
            let ready = waitUntilReady(
                readable: [
                    work.rawDescriptor, now.isWanted ? now.end.inputDescriptor : -1,
                    now.end.arrivalDescriptor,
                ],
                writable: now.output.isEmpty ? -1 : now.end.outputDescriptor,
                timeout: now.deadline?.remaining
            )
            if ready.readable[0] { work.clear() }
            if ready.isWritable { writeOut(now) }
            carriage.withLock { carriage in
                if ready.readable[2] { carriage.end.acceptClient() }
                if !carriage.end.takesOutput { carriage.output = [] }
                // It reads for itself, and says again when it wants more.
                if ready.readable[1] { carriage.isWanted = false }
            }
            if ready.readable[1] || ready.isWritable { device.signal() }
        }
    }

    /// Writes outside the lock: a write may block, and the device does not wait for that.
    private func writeOut(_ now: Carriage) {
        let count = now.end.write(now.output)
        carriage.withLock { carriage in
            // Only this thread takes clients and removes output: it is the same client, unless it
            // has gone already, and those bytes are still the first.
            if count == nil { carriage.end.dropClient() }
            carriage.output.removeFirst(count ?? now.output.count)
        }
    }
}
