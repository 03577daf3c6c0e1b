// SPDX-License-Identifier: Apache-2.0

/// What is particular to a kind of virtio device: how it serves the requests of its queues.
///
/// For one thread at a time. Serving may take as long as a disk or a missing page does.
package protocol VirtioModel: Sendable {
    /// What the driver finds.
    var identity: VirtioIdentity { get }

    /// Serves one request, to its end.
    ///
    /// - Parameters:
    ///   - queue: The queue's number, below the device's count of them.
    ///   - ring: The queue; unchanged unless a request was served.
    ///   - memory: Guest memory.
    ///   - features: That the driver has accepted.
    /// - Returns: What came of it.
    /// - Throws: What is wrong with the request, or with the queue.
    mutating func serve(
        _ queue: Int,
        _ ring: inout Virtqueue,
        _ memory: some DeviceMemory,
        features: UInt64
    ) throws(VirtioDefect) -> ServiceOutcome

    /// Tells the outside that the guest is here now.
    mutating func announce()
}

extension VirtioModel {
    package mutating func announce() {}
}

/// What came of looking for a request.
package enum ServiceOutcome: Equatable, Sendable {
    /// There is none, or nothing will ever come to serve it with.
    case idle
    /// There is one, and nothing yet to serve it with.
    case starved
    /// It was served.
    case served(wantsInterrupt: Bool)
}
