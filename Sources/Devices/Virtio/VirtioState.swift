// SPDX-License-Identifier: Apache-2.0

/// What the registers of a virtio device hold; a new value is the state after a reset.
package struct VirtioState: Equatable, Sendable {
    /// How far the driver has come, and whether the device needs a reset.
    package var status: UInt32 = 0
    /// What the driver has accepted of what was offered.
    package var features: UInt64 = 0
    /// Which half of the offer is read.
    package var offeredHalf: UInt32 = 0
    /// Which half of what is accepted is written.
    package var acceptedHalf: UInt32 = 0
    /// Which queue the registers of queues are about.
    package var selectedQueue: UInt32 = 0
    /// Interrupts that the driver has not acknowledged.
    package var interrupts: UInt32 = 0
    /// The queues.
    package var queues: [VirtqueueState]

    /// After a reset.
    package init(queueCount: Int) {
        queues = Array(repeating: VirtqueueState(), count: queueCount)
    }

    /// Bits of ``status``.
    package enum Status {
        /// The driver is content with the features.
        static let featuresAccepted: UInt32 = 8
        /// The driver is set up.
        static let driverReady: UInt32 = 4
        /// The device cannot go on.
        static let needsReset: UInt32 = 0x40
        /// All there are.
        package static let all: UInt32 = 0xCF
    }

    /// Bits of ``interrupts``.
    package enum Interrupt {
        /// Requests were given back.
        static let used: UInt32 = 1
        /// The device has changed, by needing a reset for example.
        static let configuration: UInt32 = 2
        /// All there are.
        package static let all: UInt32 = 3
    }

    /// Whether requests are served.
    var isLive: Bool {
        let serving = Status.featuresAccepted | Status.driverReady
        return status & (serving | Status.needsReset) == serving
    }
}
