// SPDX-License-Identifier: Apache-2.0

internal import Devices
internal import MigrationWire

// What virtio devices hold, to and from messages. A message may come from a peer: every value is
// checked, and what is missing is as after a reset.

extension WireVirtioState {
    init(_ state: VirtioState) {
        self.init()
        status = state.status
        features = state.features
        offeredHalf = state.offeredHalf
        acceptedHalf = state.acceptedHalf
        selectedQueue = state.selectedQueue
        interrupts = state.interrupts
        queues = state.queues.map { WireVirtioQueueState($0) }
    }
}

extension VirtioState {
    init(_ message: WireVirtioState, of identity: VirtioIdentity) throws(StateDefect) {
        self.init(queueCount: identity.queueCount)
        status = try Self.checked(message.status, "virtio.status", within: Status.all)
        interrupts = try Self.checked(
            message.interrupts,
            "virtio.interrupts",
            within: Interrupt.all
        )
        guard message.features & ~identity.features == 0 else {
            throw .deviceValue(field: "virtio.features", found: message.features)
        }
        features = message.features
        offeredHalf = message.offeredHalf
        acceptedHalf = message.acceptedHalf
        selectedQueue = message.selectedQueue
        guard message.queues.count == queues.count else {
            throw .deviceValue(field: "virtio.queues", found: UInt64(message.queues.count))
        }
        for (index, queue) in message.queues.enumerated() {
            queues[index] = try VirtqueueState(queue)
        }
    }

    private static func checked(
        _ value: UInt32,
        _ field: String,
        within mask: UInt32
    ) throws(StateDefect) -> UInt32 {
        guard value & ~mask == 0 else { throw .deviceValue(field: field, found: UInt64(value)) }
        return value
    }
}

extension WireVirtioQueueState {
    init(_ state: VirtqueueState) {
        self.init()
        size = state.size
        descriptors = state.descriptors
        available = state.available
        used = state.used
        isReady = state.isReady
        nextAvailable = UInt32(state.nextAvailable)
        nextUsed = UInt32(state.nextUsed)
    }
}

extension VirtqueueState {
    init(_ message: WireVirtioQueueState) throws(StateDefect) {
        self.init()
        size = message.size
        descriptors = message.descriptors
        available = message.available
        used = message.used
        isReady = message.isReady
        guard let nextAvailable = UInt16(exactly: message.nextAvailable),
            let nextUsed = UInt16(exactly: message.nextUsed)
        else {
            let larger = max(message.nextAvailable, message.nextUsed)
            throw .deviceValue(field: "virtio.queue", found: UInt64(larger))
        }
        self.nextAvailable = nextAvailable
        self.nextUsed = nextUsed
        // Sizes and addresses of a queue that is not ready may be anything yet.
        if isReady && defect != nil {
            throw .deviceValue(field: "virtio.queue.size", found: UInt64(size))
        }
    }
}
