// SPDX-License-Identifier: Apache-2.0

package import GuestMemory
internal import KVM
package import LinuxSystem

/// What became of a machine's threads when it was stopped.
package enum StopOutcome: Equatable, Sendable {
    /// All have ended.
    case stopped
    /// Some vCPUs do not come out of the kernel: they wait for guest memory that never arrives.
    case stuck(vcpus: [Int])
}

extension Machine {
    /// Longest wait for threads to come up, or to stop.
    private static let threadLimit = Duration.seconds(2)
    /// After this time a thread that has not come out is kicked again.
    private static let kickInterval = Duration.milliseconds(10)

    /// Starts a thread for each vCPU, and returns when all of them are parked.
    ///
    /// - Parameter servers: One for each vCPU's memory-fault exits; without one they end the guest.
    /// - Throws: When there are too few resources for threads.
    package func startThreads(
        memoryFaultServers servers: [any MemoryFaultServer] = []
    ) throws(MachineError) {
        do {
            try KickSignal.install()
            try guest.start()
            for (index, vcpu) in vcpus.enumerated() {
                try vcpu.start(index < servers.count ? servers[index] : nil)
            }
        } catch {
            throw MachineError(error)
        }
        let late = awaitAcknowledgement(of: control.order.value, within: Self.threadLimit)
        guard late.isEmpty else { throw .pauseTimedOut(vcpus: late) }
    }

    /// The tasks of the vCPU threads, as the kernel numbers them, once they have been started.
    package var threadIDs: [CInt] { vcpus.map(\.threadID) }

    /// Maps pages for all vCPUs of a parked machine, as if they had touched them: each page saves an
    /// exit to KVM when the guest goes on.
    ///
    /// Advice: where the kernel cannot, nothing changes.
    ///
    /// - Parameter pages: Are present.
    package func prefault(_ pages: some Sequence<PageIndex>) {
        guard faultExits.canPrefault else { return }
        for page in pages {
            guard let address = memory.layout.guestAddress(of: page),
                // All vCPUs share what one has mapped.
                vcpus[0].virtualCPU.prefault(address, byteCount: UInt64(GuestPage.byteCount))
            else { return }
        }
    }

    /// Lets all vCPUs run.
    ///
    /// `firstRun` and heartbeats tell when they do.
    package func resume() {
        guest.resume()
        control.clearFirstRun()
        _ = control.give(.running)
    }

    /// The earliest KVM_RUN of any vCPU since the last `resume()`; nil before it.
    package var firstRun: MonotonicTime? { control.firstRun }

    /// Stops all vCPUs at an instruction boundary.
    ///
    /// Afterwards no thread enters the guest, accesses to ports under way are completed, and so
    /// are requests to devices; guest memory does not change any more.
    ///
    /// - Parameter limit: The longest wait for devices, and after that for vCPUs. When it is over
    ///   the machine is in between: either `resume()` it, or try again.
    /// - Returns: When the last vCPU left KVM_RUN.
    /// - Throws: ``MachineError/pauseTimedOut(vcpus:)`` or ``MachineError/devicesBusy``, and
    ///   nothing else.
    package func pause(within limit: Duration) throws(MachineError) -> MonotonicTime {
        // Before the vCPUs, so that the guest does not stand still for what devices are at.
        guard guest.pause(until: .now.advanced(by: limit)) else { throw .devicesBusy }
        let order = control.give(.parked)
        // However long devices took: a disk that was slow leaves nobody short of time.
        let late = awaitAcknowledgement(of: order, within: limit)
        guard late.isEmpty else { throw .pauseTimedOut(vcpus: late) }
        return vcpus.compactMap(\.leftRun).max() ?? .now
    }

    /// Ends the threads, within two seconds.
    ///
    /// Calling it again does nothing. A vCPU may sleep in userfaultfd inside KVM_RUN, for a page
    /// that will not come any more, and KVM does not let a signal end that sleep on every kernel.
    /// Such a thread is given up: it keeps what it uses, and ends with the process, which should
    /// `_exit`.
    ///
    /// - Parameter release: Called when every vCPU has been told to stop: a place to wake those
    ///   that sleep in userfaultfd. They leave KVM_RUN before they run any guest code.
    /// - Returns: Whether all threads have ended.
    @discardableResult
    package func stop(releasing release: () -> Void = {}) -> StopOutcome {
        defer { guest.stop() }
        guest.giveUpMemory()
        let order = control.give(.stopping)
        let running = vcpus.filter(\.isStarted)
        guard !running.isEmpty else {
            release()
            return .stopped
        }
        for vcpu in running { vcpu.interrupt() }
        release()
        let stuck = awaitAcknowledgement(of: order, within: Self.threadLimit)
        for vcpu in running {
            if stuck.contains(vcpu.virtualCPU.index) { vcpu.abandon() } else { vcpu.join() }
        }
        return stuck.isEmpty ? .stopped : .stuck(vcpus: stuck)
    }

    /// Whether no vCPU can be in the guest.
    var isParked: Bool {
        let order = control.order.value
        return RunControl.state(of: order) != .running
            && vcpus.allSatisfy { !$0.isStarted || $0.hasAcknowledged(order) }
    }

    /// Interrupts all vCPUs and waits until they have seen an order.
    ///
    /// - Returns: Those that have not.
    private func awaitAcknowledgement(of order: UInt32, within limit: Duration) -> [Int] {
        let end = MonotonicTime.now.advanced(by: limit)
        while true {
            let seen = control.acknowledgements.value
            let late = vcpus.filter { $0.isStarted && !$0.hasAcknowledged(order) }
            guard !late.isEmpty, MonotonicTime.now < end else {
                return late.map(\.virtualCPU.index)
            }
            for vcpu in late { vcpu.interrupt() }
            control.acknowledgements.wait(while: seen, timeout: Self.kickInterval)
        }
    }
}
