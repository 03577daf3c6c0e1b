// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import KVM
internal import LinuxSystem
internal import Synchronization

/// One vCPU and the thread that runs it.
///
/// The thread blocks in KVM_RUN, where a kick and the immediate exit wake it, and on the order of
/// ``RunControl``, where a new order wakes it. It takes no lock and allocates nothing as long as
/// the guest goes on.
final class VCPUThread: Sendable {
    let virtualCPU: VirtualCPU
    let heartbeat = HeartbeatRecorder()

    private let guest: any Guest
    private let control: RunControl
    private let faultExits: FaultExits
    private let tracker: DirtyTracker
    private let thread = Locked<Thread?>(nil)
    /// The last order seen outside KVM_RUN; written by the thread.
    private let acknowledgedOrder = Atomic<UInt32>(.max)
    /// When the thread last left KVM_RUN; written by the thread.
    private let leftRunNanoseconds = Atomic<UInt64>(0)
    /// The thread's task, as the kernel numbers it; written by the thread before it acknowledges.
    private let task = Atomic<CInt>(0)

    /// How long HLT lasts at most without interrupt controllers: nothing else would end it.
    private static let longestHalt = Duration.milliseconds(1)
    /// Re-entries that completing one instruction may take: KVM emulates 1024 iterations of one on
    /// strings before it looks at the immediate exit, each with a read and a write that may come in
    /// pieces.
    private static let mostCompletions = 1 << 13

    init(
        _ virtualCPU: VirtualCPU,
        guest: any Guest,
        control: RunControl,
        faultExits: FaultExits,
        tracker: DirtyTracker
    ) {
        self.virtualCPU = virtualCPU
        self.guest = guest
        self.control = control
        self.faultExits = faultExits
        self.tracker = tracker
    }

    /// Starts the thread; it obeys the present order.
    func start(_ server: (any MemoryFaultServer)?) throws(SystemError) {
        try thread.withLock { (slot: inout Thread?) throws(SystemError) in
            slot = try Thread(name: "vcpu-\(virtualCPU.index)") { [self] in obey(server) }
        }
    }

    /// Whether there is a thread: started, and neither joined nor given up.
    var isStarted: Bool { thread.withLock { $0 != nil } }

    /// Whether the thread has seen an order and is out of the guest.
    func hasAcknowledged(_ order: UInt32) -> Bool {
        // Pairs with the release in `acknowledge(_:)`: the time it left KVM_RUN is visible.
        acknowledgedOrder.load(ordering: .acquiring) == order
    }

    /// When it last left KVM_RUN; nil when it never has.
    var leftRun: MonotonicTime? {
        let nanoseconds = leftRunNanoseconds.load(ordering: .relaxed)
        return nanoseconds == 0 ? nil : MonotonicTime(nanoseconds: nanoseconds)
    }

    /// The thread's task, as the kernel numbers it; zero before its first acknowledgement.
    var threadID: CInt { task.load(ordering: .relaxed) }

    /// Gets the thread out of the guest, to look at its order.
    func interrupt() {
        virtualCPU.requestImmediateExit()
        thread.withLock { $0?.kick() }
    }

    /// Waits for the thread, which has acknowledged the order to stop.
    func join() {
        if let ended = thread.withLock({ $0.take() }) { ended.join() }
    }

    /// Gives up a thread that does not come out of the kernel.
    ///
    /// It ends with the process.
    func abandon() {
        if let stuck = thread.withLock({ $0.take() }) { stuck.abandon() }
    }
}

extension VCPUThread {
    /// Body of the thread.
    private func obey(_ server: (any MemoryFaultServer)?) {
        task.store(currentThreadID(), ordering: .relaxed)
        var isOver = false
        while true {
            let order = control.order.value
            switch RunControl.state(of: order) {
            case .running where !isOver:
                isOver = runGuest(under: order, server) == .over
            case .running, .parked:
                acknowledge(order)
                control.order.wait(while: order, timeout: nil)
            case .stopping:
                acknowledge(order)
                return
            }
        }
    }

    private func acknowledge(_ order: UInt32) {
        guard acknowledgedOrder.load(ordering: .relaxed) != order else { return }
        acknowledgedOrder.store(order, ordering: .releasing)
        control.acknowledgements.add(1)
    }

    private enum Continuation {
        case goOn
        case over
    }

    /// Runs the guest until there is another order, or the guest is over.
    private func runGuest(under order: UInt32, _ server: (any MemoryFaultServer)?) -> Continuation {
        // Who gives another order does so first and then requests the exit: either that request
        // comes after this line and holds, or the other order is visible in the next one.
        virtualCPU.allowRun()
        guard control.order.value == order else { return .goOn }
        control.noteRun(at: .now)
        var result = Continuation.goOn
        do {
            while result == .goOn && control.order.value == order {
                result = try handle(virtualCPU.run(), order, server)
            }
            if result == .goOn { result = try completeInstruction(order, server) }
        } catch {
            control.end(.failed(vcpu: virtualCPU.index, error))
            result = .over
        }
        leftRunNanoseconds.store(MonotonicTime.now.nanoseconds, ordering: .relaxed)
        return result
    }

    private func handle(
        _ exit: VirtualCPUExit,
        _ order: UInt32,
        _ server: (any MemoryFaultServer)?
    ) throws(SystemError) -> Continuation {
        switch exit {
        case .interrupted:
            return .goOn
        case .dirtyRingFull:
            try tracker.collect()
            return .goOn
        case .portAccess(let access):
            return follow(guest.answer(access, of: virtualCPU), exit)
        case .deviceAccess(let access):
            return follow(guest.answer(access, of: virtualCPU), exit)
        case .halt:
            control.order.wait(while: order, timeout: Self.longestHalt)
            return .goOn
        case .memoryFault(let fault):
            if let server, server.serve(fault.address) {
                faultExits.prepareReentry(of: virtualCPU, after: fault)
                server.reenters()
                return .goOn
            }
            // A page that does not come because the machine is to stop is no end of the guest's.
            guard control.order.value == order else { return .goOn }
            control.end(.unexpectedExit(vcpu: virtualCPU.index, exit))
            return .over
        case .shutdown:
            control.end(.shutdown(vcpu: virtualCPU.index))
            return .over
        case .failedEntry, .internalError, .unknown:
            control.end(.unexpectedExit(vcpu: virtualCPU.index, exit))
            return .over
        }
    }

    private func follow(_ outcome: AccessOutcome, _ exit: VirtualCPUExit) -> Continuation {
        switch outcome {
        case .answered:
            return .goOn
        case .heartbeat(let iterations):
            heartbeat.record(at: .now, iterations: iterations)
            return .goOn
        case .ended(let ending):
            control.end(ending)
            return .over
        case .refused:
            control.end(.unexpectedExit(vcpu: virtualCPU.index, exit))
            return .over
        }
    }

    /// Lets KVM finish the instruction that asked for a device, without running the next one.
    ///
    /// Registers saved before that would repeat or lose the access. The instruction may ask for
    /// more, which is answered as ever.
    private func completeInstruction(
        _ order: UInt32,
        _ server: (any MemoryFaultServer)?
    ) throws(SystemError) -> Continuation {
        virtualCPU.requestImmediateExit()
        for _ in 0..<Self.mostCompletions {
            let exit = try virtualCPU.run()
            if exit == .interrupted { return .goOn }
            if try handle(exit, order, server) == .over { return .over }
        }
        throw SystemError(code: EBUSY, operation: "completing I/O in ioctl(KVM_RUN)")
    }
}
