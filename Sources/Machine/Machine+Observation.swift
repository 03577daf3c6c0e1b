// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem
internal import MigrationWire

/// How the guest is doing, seen from outside and by its own account.
extension Machine {
    /// Heartbeats of each vCPU, noted by its thread at each write to the debug port.
    ///
    /// Lock-free; never touches guest memory.
    package var heartbeats: [Heartbeat] { vcpus.map(\.heartbeat.value) }

    /// Goes on from what the source saw.
    ///
    /// Call while parked. The first heartbeat here then measures the time since the last one
    /// there; both must read the same CLOCK_MONOTONIC.
    ///
    /// - Parameter heartbeats: One for each vCPU; others are ignored, missing ones stay.
    package func continueHeartbeats(from heartbeats: [Heartbeat]) {
        for (vcpu, heartbeat) in zip(vcpus, heartbeats) {
            vcpu.heartbeat.continueFrom(heartbeat)
        }
    }

    /// Forgets the largest gaps between heartbeats, so that those before, during and after
    /// something can be told apart.
    package func resetGaps() {
        for vcpu in vcpus { vcpu.heartbeat.resetGap() }
    }

    /// Whether `progress(since:)` still tells everything since the machine was made.
    package var keepsAllProgress: Bool { vcpus.allSatisfy(\.heartbeat.progress.isWhole) }

    /// What each vCPU had done by each of its heartbeats since an instant, and by the last one
    /// before it; the last 16 thousand at the most.
    ///
    /// Lock-free; never touches guest memory.
    package func progress(since start: MonotonicTime) -> [[ProgressSample]] {
        vcpus.map { $0.heartbeat.progress.samples(since: start) }
    }
}
