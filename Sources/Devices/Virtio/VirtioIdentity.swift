// SPDX-License-Identifier: Apache-2.0

/// What a driver finds a virtio device to be, and what never changes.
package struct VirtioIdentity: Equatable, Sendable {
    /// Kinds of devices, by their number (Virtual I/O Device 1.2, section 5).
    package enum Kind: UInt32, Sendable {
        /// A network card.
        case network = 1
        /// A disk.
        case block = 2
        /// A console.
        case console = 3
        /// A source of random bytes.
        case entropy = 4
    }

    /// The kind.
    package let kind: Kind
    /// What the device can do, apart from what all of them can.
    let ownFeatures: UInt64
    /// The space of the device's own registers.
    let configuration: [UInt8]
    /// How many queues it has.
    package let queueCount: Int

    init(_ kind: Kind, features: UInt64 = 0, configuration: [UInt8] = [], queueCount: Int) {
        self.kind = kind
        ownFeatures = features
        self.configuration = configuration
        self.queueCount = queueCount
    }

    /// All that is offered to the driver.
    package var features: UInt64 { ownFeatures | Self.version1 | Self.indirectDescriptors }

    static let indirectDescriptors: UInt64 = 1 << 28
    static let version1: UInt64 = 1 << 32
}
