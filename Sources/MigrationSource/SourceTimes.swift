// SPDX-License-Identifier: Apache-2.0

internal import LinuxSystem
internal import MigrationWire
internal import Telemetry

extension WireSourceTimes {
    /// What the destination is told of the source's timeline.
    init(_ timeline: Timeline) {
        self.init()
        pauseRequestedNs = timeline.pauseRequested?.nanoseconds ?? 0
        pauseNs = timeline.pause?.nanoseconds ?? 0
        stateSavedNs = timeline.stateSaved?.nanoseconds ?? 0
    }
}
