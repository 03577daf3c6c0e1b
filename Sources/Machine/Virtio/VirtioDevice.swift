// SPDX-License-Identifier: Apache-2.0

internal import Devices
internal import KVM
internal import LinuxSystem

/// One virtio device of a machine: its registers, which vCPUs read and write, and the thread that
/// serves its queues.
///
/// The thread serves one request at a time, outside the lock, since it may wait for a disk or for
/// a page of guest memory. Nothing else of a request is ever under way, so that a device is
/// drained when the request is done.
final class VirtioDevice: Sendable {
    private struct Slot {
        var registers: VirtioRegisters
        /// Whether requests may be taken.
        var isRunning = false
        /// Whether one is being served.
        var isServing = false
        var isStopping = false
        /// Whether the guest has just come here.
        var hasArrived = false
        /// How many more mistakes of the guest are told: it may make as many as it likes.
        var notesLeft = 8
    }

    /// What belongs to a device beside its registers.
    struct Wiring {
        let virtualMachine: VirtualMachine
        let memory: MachineMemory
        /// Of the PICs and the I/O APIC, for this device alone.
        let interruptLine: UInt32
        /// In messages and for the thread.
        let name: String
        /// Tells the device's thread: there is something to do, or an order to stop.
        let work: EventFD
        /// Tells a person.
        let note: @Sendable (String) -> Void
    }

    private let slot: Locked<Slot>
    private let model: any VirtioModel
    private let wiring: Wiring
    /// Readable when there is input; -1 where there is none.
    private let input: CInt
    /// Waits for the other end of a console; nil for other devices.
    private let carrier: ConsoleCarrier?
    /// Changes whenever a request has been served.
    private let ends = FutexWord(0)
    private let thread = Locked<Thread?>(nil)

    /// When a guest that has come here is announced: the first may find a network that is not
    /// ready, and any may get lost.
    private static let announcements: [Duration] = [
        .zero, .milliseconds(50), .milliseconds(250), .seconds(1),
    ]
    /// How often an access looks again that waits for a request under way.
    private static let waitInterval = Duration.milliseconds(10)

    init(
        _ model: some VirtioModel,
        _ wiring: Wiring,
        input: CInt = -1,
        carrier: ConsoleCarrier? = nil
    ) {
        self.model = model
        self.wiring = wiring
        self.input = input
        self.carrier = carrier
        slot = Locked(Slot(registers: VirtioRegisters(model.identity)))
    }

    private var work: EventFD { wiring.work }

    /// What the device is.
    var identity: VirtioIdentity { model.identity }

    /// Its registers' contents.
    var state: VirtioState { slot.withLock { $0.registers.state } }

    /// Takes over what was saved; the guest does not run.
    func load(_ state: VirtioState) {
        slot.withLock { slot in
            slot.registers = VirtioRegisters(model.identity, state)
            slot.hasArrived = true
            // One too many is found to be for nothing.
            if slot.registers.interruptIsPending { interrupt() }
        }
    }

    /// The guest reads, on the thread of a vCPU.
    func read(byteCount: Int, at offset: UInt64) -> UInt64 {
        slot.withLock { $0.registers.read(byteCount: byteCount, at: offset) }
    }

    /// The guest writes 32 bits, on the thread of a vCPU.
    ///
    /// Waits for nothing, but for the end of a request under way where the guest stops the device.
    func write(_ value: UInt32, at offset: UInt64) {
        while true {
            let seen = ends.value
            let effect: VirtioRegisters.Effect? = slot.withLock { slot in
                let mustWait = slot.isServing && !slot.isStopping
                if mustWait && slot.registers.stopsQueues(value, to: offset) { return nil }
                let effect = slot.registers.write(value, to: offset)
                if case .broken = effect { interrupt() }
                return effect
            }
            switch effect {
            case .none?: return
            case .notify?: return work.signal()
            case .broken(let defect)?: return note(defect)
            case nil: ends.wait(while: seen, timeout: Self.waitInterval)
            }
        }
    }

    /// Lets requests be taken.
    func resume() {
        slot.withLock { $0.isRunning = true }
        work.signal()
    }

    /// No more requests are taken.
    func beginPause() {
        slot.withLock { $0.isRunning = false }
    }

    /// Waits for the end of a request under way; requests are not taken any more.
    ///
    /// - Returns: Whether it has ended in time.
    func isDrained(until deadline: MonotonicTime) -> Bool {
        while true {
            let seen = ends.value
            guard slot.withLock({ $0.isServing }) else { return true }
            guard MonotonicTime.now < deadline else { return false }
            ends.wait(while: seen, timeout: Self.waitInterval)
        }
    }

    private func interrupt() {
        // An edge: the line is this device's alone, and its driver looks what it is about.
        wiring.virtualMachine.setInterruptLine(wiring.interruptLine, .high)
        wiring.virtualMachine.setInterruptLine(wiring.interruptLine, .low)
    }

    private func note(_ defect: VirtioDefect) {
        let isTold = slot.withLock { slot in
            guard slot.notesLeft > 0 else { return false }
            slot.notesLeft -= 1
            return true
        }
        if isTold { wiring.note("\(wiring.name) needs a reset: \(defect)") }
    }
}

extension VirtioDevice {
    /// Starts the thread, once.
    func start() throws(SystemError) {
        try carrier?.start()
        try thread.withLock { (slot: inout Thread?) throws(SystemError) in
            guard slot == nil else { return }
            slot = try Thread(name: wiring.name) { [self] in serve() }
        }
    }

    /// Ends the thread when it is done with its request.
    func stop() {
        defer { carrier?.stop() }
        slot.withLock { $0.isStopping = true }
        work.signal()
        guard let running = thread.withLock({ $0.take() }) else { return }
        running.join()
    }

    /// Body of the thread.
    private func serve() {
        var model = model
        var waitsForInput = false
        var due: [MonotonicTime] = []
        while true {
            let ready = waitUntilReady(
                readable: [work.rawDescriptor, waitsForInput ? input : -1],
                writable: -1,
                timeout: due.first?.remaining
            )
            if ready.readable[0] { work.clear() }
            let (isStopping, isRunning, hasArrived) = slot.withLock { slot in
                let hasArrived = slot.isRunning && slot.hasArrived
                if hasArrived { slot.hasArrived = false }
                return (slot.isStopping, slot.isRunning, hasArrived)
            }
            if isStopping { return }
            if hasArrived { due = Self.announcements.map { MonotonicTime.now.advanced(by: $0) } }
            while isRunning, let next = due.first, next.remaining <= .zero {
                due.removeFirst()
                model.announce()
            }
            if !isRunning { due = [] }
            waitsForInput = serveAll(&model)
        }
    }

    /// Serves all requests that there are.
    ///
    /// - Returns: Whether there is one left that waits for input.
    private func serveAll(_ model: inout any VirtioModel) -> Bool {
        var isStarved = false
        var hasServed: Bool
        repeat {
            isStarved = false
            hasServed = false
            // Queues take turns, so that none waits for another's end.
            for index in 0..<model.identity.queueCount {
                switch serveOne(index, &model) {
                case .idle: break
                case .starved: isStarved = true
                case .served: hasServed = true
                }
            }
        } while hasServed
        return isStarved
    }

    private func serveOne(_ index: Int, _ model: inout any VirtioModel) -> ServiceOutcome {
        let begun: (queue: Virtqueue, features: UInt64)? = slot.withLock { slot in
            guard slot.isRunning, !slot.isStopping,
                let queue = slot.registers.liveQueue(index)
            else { return nil }
            slot.isServing = true
            return (queue, slot.registers.features)
        }
        guard let begun else { return .idle }
        var queue = begun.queue
        let outcome: Result<ServiceOutcome, VirtioDefect>
        do {
            outcome = .success(
                try model.serve(index, &queue, wiring.memory, features: begun.features)
            )
        } catch {
            outcome = .failure(error)
        }
        finish(index, queue, outcome)
        if case .success(let outcome) = outcome { return outcome }
        return .idle
    }

    private func finish(
        _ index: Int,
        _ queue: Virtqueue,
        _ outcome: Result<ServiceOutcome, VirtioDefect>
    ) {
        slot.withLock { slot in
            switch outcome {
            case .success(.served(let wantsInterrupt)):
                slot.registers.served(index, queue, interrupts: wantsInterrupt)
                if wantsInterrupt { interrupt() }
            case .success: break
            case .failure(.memoryLost): slot.isRunning = false
            case .failure:
                slot.registers.breakDown()
                interrupt()
            }
            slot.isServing = false
        }
        ends.add(1)
        if case .failure(let defect) = outcome, defect != .memoryLost { note(defect) }
    }
}
