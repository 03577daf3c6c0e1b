// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem

/// What the KVM of this host offers a migration.
package struct KVMSurvey: Equatable, Sendable {
    /// The best way on which touches of absent pages are delivered here.
    package var faultPath: FaultPath
    /// Why it is that one.
    package var faultPathReason: String
    /// Whether a page can be mapped before its vCPU touches it again.
    package var canPrefault: Bool
    /// Entries of the largest dirty ring; zero without one.
    package var dirtyRingEntries: Int

    /// A survey of a host that exists only in a test, or was asked elsewhere.
    package init(
        faultPath: FaultPath,
        faultPathReason: String,
        canPrefault: Bool,
        dirtyRingEntries: Int
    ) {
        self.faultPath = faultPath
        self.faultPathReason = faultPathReason
        self.canPrefault = canPrefault
        self.dirtyRingEntries = dirtyRingEntries
    }

    /// Asks this host: makes a VM, and drops it again.
    ///
    /// - Parameter path: The device; tests pass something else.
    /// - Throws: Why KVM cannot be used.
    package init(devicePath path: String = "/dev/kvm") throws(KVMUnavailable) {
        let system = try KVMSystem(path: path)
        let exits: FaultExits
        do {
            let layout = try GuestLayout.pc(byteCount: 1 << 20)
            exits = try FaultExits.probe(.auto, on: system, layout: layout).exits
        } catch FaultProbeError.system(let error) {
            throw .failed(error)
        } catch {
            preconditionFailure("a layout of 1 MiB, and any path: \(error)")
        }
        faultPath = exits.path
        faultPathReason = exits.reason
        canPrefault = exits.canPrefault
        // 16 bytes each: struct kvm_dirty_gfn.
        dirtyRingEntries =
            max(system.check(.dirtyRing), system.check(.dirtyRingAcquireRelease)) / 16
    }
}
