// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import Synchronization

/// What a machine tells its vCPU threads to do, and what they tell it.
///
/// The order is one word: a state, and a serial number that makes every order different from all
/// before. A thread acknowledges the very word it has seen, and only while it is outside KVM_RUN;
/// so an acknowledged order to park means that this thread runs no guest until the next order.
final class RunControl: Sendable {
    /// What vCPU threads are to do.
    enum State: UInt32 {
        /// Stay out of the guest.
        case parked = 0
        /// Run the guest.
        case running = 1
        /// End.
        case stopping = 2
    }

    /// The order: state in the two lowest bits, serial number above.
    ///
    /// Threads sleep on it.
    let order = FutexWord(State.parked.rawValue)
    /// Changes with every acknowledgement; who waits for threads sleeps on it.
    let acknowledgements = FutexWord(0)
    /// Set when the guest ends by itself.
    let ended: EventFD
    /// Memory of the guest.
    ///
    /// Also keeps it mapped for as long as any vCPU thread lives.
    let memory: GuestRAM

    private let firstRunNanoseconds = Atomic<UInt64>(0)
    private let firstEnding = Locked<GuestEnding?>(nil)

    init(memory: GuestRAM) throws(SystemError) {
        self.memory = memory
        ended = try EventFD()
    }

    /// The state in an order.
    static func state(of order: UInt32) -> State { State(rawValue: order & 3) ?? .parked }

    /// Gives a new order, and wakes threads that sleep.
    ///
    /// Called by one thread at a time.
    ///
    /// - Returns: The word that threads will acknowledge.
    func give(_ state: State) -> UInt32 {
        let word = ((order.value & ~3) &+ 4) | state.rawValue
        order.store(word)
        return word
    }

    /// Forgets the first run; before an order to run.
    func clearFirstRun() { firstRunNanoseconds.store(0, ordering: .relaxed) }

    /// Notes that a vCPU is about to enter the guest; the earliest instant stays.
    func noteRun(at now: MonotonicTime) {
        var known = firstRunNanoseconds.load(ordering: .relaxed)
        while known == 0 || now.nanoseconds < known {
            let (won, original) = firstRunNanoseconds.compareExchange(
                expected: known,
                desired: now.nanoseconds,
                ordering: .releasing
            )
            if won { return }
            known = original
        }
    }

    /// The earliest instant noted since `clearFirstRun()`.
    var firstRun: MonotonicTime? {
        let known = firstRunNanoseconds.load(ordering: .acquiring)
        return known == 0 ? nil : MonotonicTime(nanoseconds: known)
    }

    /// Notes how the guest ended; the first ending stays, and wakes whoever polls `ended`.
    func end(_ ending: GuestEnding) {
        let isFirst = firstEnding.withLock { known in
            if known != nil { return false }
            known = ending
            return true
        }
        if isFirst { ended.signal() }
    }

    /// How the guest ended; nil as long as it has not.
    var ending: GuestEnding? { firstEnding.withLock { $0 } }
}
