// SPDX-License-Identifier: Apache-2.0

internal import KVM

/// Which pages the guest writes, for precopy.
extension Machine {
    /// How KVM tells what vCPUs write: `ring` or `log`.
    package var trackingMethod: String { tracker.method.rawValue }

    /// From now on the pages that the guest writes are known: see `collectWrites()`.
    ///
    /// The guest may run, and is slower from now on.
    package func startTracking() throws(MachineError) {
        do {
            try tracker.start()
        } catch {
            throw .system(error)
        }
    }

    /// Adds the pages that vCPUs have written to `memory.written`, where those that devices have
    /// written are already.
    ///
    /// Once the machine is paused, and its state is saved, nothing is missing.
    package func collectWrites() throws(MachineError) {
        do {
            try tracker.collect()
        } catch {
            throw .system(error)
        }
    }

    /// Writes are not tracked any more; calling it again does nothing.
    package func stopTracking() throws(MachineError) {
        do {
            try tracker.stop()
        } catch {
            throw .system(error)
        }
    }
}
