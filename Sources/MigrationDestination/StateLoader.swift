// SPDX-License-Identifier: Apache-2.0

internal import LinuxSystem
internal import Machine
internal import MigrationWire

/// Loads the state of a machine on a thread of its own, which waits for it from before the pause:
/// to start a thread takes as long as half of the load.
///
/// Safe for the loading thread, which is in `run(_:)`, and the steering one, which does all else.
final class StateLoader: Sendable {
    private let state = Locked<WireMachineState?>(nil)
    private let outcome = Locked<Result<Void, MachineError>?>(nil)
    private let stage = FutexWord(Stage.idle.rawValue)

    private enum Stage: UInt32 {
        /// Nothing has been ordered yet.
        case idle
        case loading
        case done
    }

    /// Body of the thread: waits for the state, or to be ended, and loads it.
    func run(_ machine: Machine) {
        while stage.value == Stage.idle.rawValue {
            stage.wait(while: Stage.idle.rawValue, timeout: nil)
        }
        guard let state = state.withLock({ $0.take() }) else { return }
        let result = Result { () throws(MachineError) in try machine.loadState(state) }
        outcome.withLock { $0 = result }
        stage.store(Stage.done.rawValue)
    }

    /// Has a state loaded; to be called once.
    func load(_ state: WireMachineState) {
        self.state.withLock { $0 = state }
        stage.store(Stage.loading.rawValue)
    }

    /// Ends the thread, if nothing has been ordered; otherwise it ends by itself.
    func end() {
        guard stage.value == Stage.idle.rawValue else { return }
        stage.store(Stage.done.rawValue)
    }

    /// Waits for the outcome; nil when it does not come in time.
    func result(within limit: Duration) -> Result<Void, MachineError>? {
        if stage.value == Stage.loading.rawValue {
            stage.wait(while: Stage.loading.rawValue, timeout: limit)
        }
        return outcome.withLock { $0 }
    }
}
