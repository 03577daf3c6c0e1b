// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem
package import MigrationWire

/// What went wrong first on any of a session's threads.
///
/// Safe from several threads at once.
package final class FirstFailure: Sendable {
    private enum State {
        case none
        case failed(MigrationError)
        case closed
    }

    private let state = Locked<State>(.none)

    /// Readable once there is a failure.
    package let event: EventFD

    /// No failure yet.
    package init() throws(SystemError) {
        event = try EventFD()
    }

    /// Reports a failure; only the first one counts.
    package func report(_ error: MigrationError) {
        let isFirst = state.withLock { state in
            guard case .none = state else { return false }
            state = .failed(error)
            return true
        }
        if isFirst { event.signal() }
    }

    /// The failure, if there is one.
    package var error: MigrationError? {
        state.withLock { state in
            guard case .failed(let error) = state else { return nil }
            return error
        }
    }

    /// From now on the end of lanes is what is wanted, and nothing is a failure any more.
    package func close() {
        state.withLock { state in
            if case .none = state { state = .closed }
        }
    }
}
