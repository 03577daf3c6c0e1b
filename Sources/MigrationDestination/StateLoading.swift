// SPDX-License-Identifier: Apache-2.0

internal import LinuxSystem
internal import Machine

/// The outcome of loading a state, on its way from the loading thread to the steering one.
final class StateLoading: Sendable {
    private let outcome = Locked<Result<Void, MachineError>?>(nil)
    private let isDone = FutexWord(0)

    /// Reports the outcome; called once, by the loading thread.
    func finish(_ result: Result<Void, MachineError>) {
        outcome.withLock { $0 = result }
        isDone.store(1)
    }

    /// Waits for the outcome; nil when it does not come in time.
    func result(within limit: Duration) -> Result<Void, MachineError>? {
        if isDone.value == 0 { isDone.wait(while: 0, timeout: limit) }
        return outcome.withLock { $0 }
    }
}
