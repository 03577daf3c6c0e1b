// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import LinuxSystem

/// What else a host had to do while something was measured.
struct OtherWork {
    private let busySeconds: Double
    private let ownSeconds: Double
    private let start = MonotonicTime.now

    /// Begins to look; nil where the kernel does not tell.
    init?() {
        guard let busy = Self.busySeconds else { return nil }
        busySeconds = busy
        ownSeconds = Double(processCPUNanoseconds()) / 1e9
    }

    /// The part of all processors' time since then that went to other processes, 0 to 1.
    var share: Double {
        guard let busy = Self.busySeconds else { return 0 }
        let own = Double(processCPUNanoseconds()) / 1e9 - ownSeconds
        let elapsed = Double(MonotonicTime.now.nanoseconds(since: start)) / 1e9
        let all = elapsed * Double(ProcessInfo.processInfo.activeProcessorCount)
        return all > 0 ? min(1, max(0, (busy - busySeconds - own) / all)) : 0
    }

    /// Time that all processors were not idle, since the host's boot.
    ///
    /// Kernel interface: proc_stat(5), in hundredths of a second.
    private static var busySeconds: Double? {
        guard let line = Host.contents(of: "/proc/stat")?.split(separator: "\n").first else {
            return nil
        }
        let fields = line.split(separator: " ").dropFirst().prefix(8).compactMap { Double($0) }
        guard fields.count == 8 else { return nil }
        // The fourth and the fifth are idle, the latter for a disk.
        return (fields.reduce(0, +) - fields[3] - fields[4]) / 100
    }
}
