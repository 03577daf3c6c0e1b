// SPDX-License-Identifier: Apache-2.0

import Devices

/// A driver with one queue of eight entries in a fake memory.
struct FakeDriver {
    let memory = FakeMemory()
    var queue: Virtqueue
    private var nextDescriptor: UInt16 = 0

    static let size: UInt32 = 8
    static let descriptors: UInt64 = 0x1000
    static let available: UInt64 = 0x2000
    static let used: UInt64 = 0x3000
    /// Memory for buffers.
    static let buffers: UInt64 = 0x4000

    struct Buffer {
        var address: UInt64
        var byteCount: UInt32
        var isWritable = false
        var flags: UInt16 = 0
    }

    init() {
        var state = VirtqueueState()
        state.size = Self.size
        state.descriptors = Self.descriptors
        state.available = Self.available
        state.used = Self.used
        state.isReady = true
        queue = Virtqueue(state)
    }

    /// Writes a descriptor into a table.
    func describe(
        _ index: UInt16,
        _ buffer: Buffer,
        next: UInt16? = nil,
        table: UInt64 = descriptors
    ) {
        let place = table + 16 * UInt64(index)
        memory.put(buffer.address, at: place)
        memory.put(buffer.byteCount, at: place + 8)
        let flags = buffer.flags | (buffer.isWritable ? 2 : 0) | (next == nil ? 0 : 1)
        memory.put(flags, at: place + 12)
        memory.put(next ?? 0, at: place + 14)
    }

    /// Makes a chain available by its first descriptor.
    func offer(_ head: UInt16) {
        let index = UInt16(memory.get(2, at: Self.available + 2))
        memory.put(head, at: Self.available + 4 + 2 * UInt64(index % UInt16(Self.size)))
        memory.put(index &+ 1, at: Self.available + 2)
    }

    /// Makes a chain of buffers available, in descriptors from zero on.
    func offer(_ buffers: [Buffer]) {
        for (index, buffer) in buffers.enumerated() {
            describe(
                UInt16(index),
                buffer,
                next: index + 1 < buffers.count ? UInt16(index + 1) : nil
            )
        }
        offer(0)
    }

    /// How many requests came back.
    var usedIndex: UInt16 { UInt16(memory.get(2, at: Self.used + 2)) }

    /// Bytes that were written for the last request that came back.
    var lastWritten: UInt32 {
        let slot = UInt64((usedIndex &- 1) % UInt16(Self.size))
        return UInt32(memory.get(4, at: Self.used + 4 + 8 * slot + 4))
    }
}
