// SPDX-License-Identifier: Apache-2.0

package import GuestMemory
package import KVM
package import Machine

/// How a destination takes a guest over.
package struct DestinationOptions: Sendable {
    /// What guest memory is made of here; the source may differ.
    package var backing = Backing.anonymous
    /// How touches of absent pages are to be delivered.
    package var faultPath = FaultPathChoice.auto
    /// What of memory travels before the guest runs here.
    package var mode = MigrationMode.postcopy
    /// Most rounds of precopy while the guest runs at the source, 1 to 64.
    package var precopyRounds = 30
    /// What may be dirty when the guest is paused: as much as can be sent in this time.
    package var downtimeLimit = Duration.milliseconds(300)
    /// The most bytes per second of precopy rounds, over all lanes; nil for no limit.
    package var precopyBytesPerSecond: UInt64?
    /// Bulk lanes for the background stream, 1 to 64.
    package var streams = 1
    /// The most bytes per second of the background stream, over all its lanes; nil for no limit.
    package var streamBytesPerSecond: UInt64?
    /// The most pages that the source sends ahead of a vCPU that walks through memory, 0 to 64.
    package var prefetchPages = 16
    /// The most urgent lanes of vCPUs, 1 to 64, where they serve their own faults; they share
    /// lanes when there are more of them.
    package var mostVCPULanes = 16
    /// Fault readers, each with an urgent lane of its own, 1 to 64.
    package var faultReaders = 1
    /// The other end of the guest's console, where it has one.
    package var console = ConsoleTarget.none
    /// What the guest's virtio devices are connected to here.
    package var devices = GuestDevices()
    /// The longest wait for the source to pause its guest and send the state.
    package var stateLimit = Duration.seconds(60)
    /// The longest wait for any other answer of the source.
    package var answerLimit = Duration.seconds(15)
    /// How long pages may stay missing after the stream has ended.
    package var stallLimit = Duration.seconds(10)

    /// The defaults.
    package init() {}
}
