// SPDX-License-Identifier: Apache-2.0

internal import LinuxSystem
package import MigrationWire

extension WireHeartbeats {
    /// A vCPU's heartbeats, for a message.
    package init(_ heartbeat: Heartbeat) {
        self.init()
        count = heartbeat.count
        lastNs = heartbeat.last?.nanoseconds ?? 0
        largestGapNs = heartbeat.largestGapNanoseconds
    }
}

extension Heartbeat {
    /// The heartbeats in a message; any numbers will do.
    package init(_ message: WireHeartbeats) {
        self.init(
            count: message.count,
            last: message.lastNs == 0 ? nil : MonotonicTime(nanoseconds: message.lastNs),
            largestGapNanoseconds: message.largestGapNs
        )
    }
}
