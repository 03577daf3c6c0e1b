// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// A split virtqueue as a device uses it: it takes requests and gives them back.
///
/// A value: a copy that was tried and is dropped has taken nothing. Nothing that a driver writes
/// can make it loop, read beyond guest memory, or allocate more than a queue's worth.
/// Virtual I/O Device 1.2, section 2.7.
package struct Virtqueue: Equatable, Sendable {
    /// Everything there is to save.
    package private(set) var state: VirtqueueState

    /// Most bytes in the buffers of one request; drivers of all devices here stay far below.
    static let mostRequestBytes = 1 << 30

    private static let descriptorByteCount = 16

    private enum Flag {
        static let next: UInt16 = 1
        static let write: UInt16 = 2
        static let indirect: UInt16 = 4
        /// In the available ring: the driver looks by itself.
        static let noInterrupt: UInt16 = 1
    }

    /// - Parameter state: Of a queue that is ready and has no defect.
    package init(_ state: VirtqueueState) {
        self.state = state
    }

    /// Takes the next request.
    ///
    /// - Parameter memory: Guest memory.
    /// - Returns: Its buffers; nil when there is none.
    /// - Throws: What is wrong with ring, table or chain.
    mutating func next(in memory: some DeviceMemory) throws(VirtioDefect) -> DescriptorChain? {
        let index = try memory.loadIndex(at: state.available &+ 2)
        let count = index &- state.nextAvailable
        guard count > 0 else { return nil }
        guard UInt32(count) <= state.size else { throw .availableCount(count) }
        let slot = UInt64(UInt32(state.nextAvailable) & (state.size - 1))
        let head = try memory.bytes(of: GuestRange(state.available &+ 4 &+ 2 * slot, 2))
        let chain = try chain(from: head.number(at: 0), in: memory)
        state.nextAvailable &+= 1
        return chain
    }

    /// Gives a request back.
    ///
    /// - Parameters:
    ///   - chain: The request.
    ///   - written: Bytes written into its buffers, from the first one on.
    ///   - memory: Guest memory.
    /// - Returns: Whether the driver wants an interrupt for it.
    /// - Throws: When the ring is not in guest memory.
    mutating func complete(
        _ chain: DescriptorChain,
        written: Int,
        in memory: some DeviceMemory
    ) throws(VirtioDefect) -> Bool {
        let slot = UInt64(UInt32(state.nextUsed) & (state.size - 1))
        var element = [UInt8](repeating: 0, count: 8)
        element.store(UInt32(chain.head), at: 0)
        element.store(UInt32(clamping: written), at: 4)
        try memory.write(element[...], at: state.used &+ 4 &+ 8 * slot)
        state.nextUsed &+= 1
        try memory.storeIndex(state.nextUsed, at: state.used &+ 2)
        // The driver allows interrupts first and then looks at that index, so one of both sees
        // what the other has written.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        return try memory.loadIndex(at: state.available) & Flag.noInterrupt == 0
    }

    private func chain(
        from head: UInt16,
        in memory: some DeviceMemory
    ) throws(VirtioDefect) -> DescriptorChain {
        var chain = DescriptorChain(head: head)
        var table = (address: state.descriptors, count: state.size)
        var index = head
        var isIndirect = false
        // Each step takes one descriptor, and there are no more than the queue has.
        for _ in 0...state.size {
            guard UInt32(index) < table.count else { throw .descriptor(index) }
            let address = table.address &+ UInt64(index) * UInt64(Self.descriptorByteCount)
            let bytes = try memory.bytes(of: GuestRange(address, Self.descriptorByteCount))
            let flags: UInt16 = bytes.number(at: 12)
            let range = GuestRange(bytes.number(at: 0), Int(bytes.number(at: 8) as UInt32))
            if flags & Flag.indirect != 0 {
                guard !isIndirect, flags & Flag.next == 0 else { throw .indirectTable }
                table = try indirectTable(range)
                isIndirect = true
                index = 0
                continue
            }
            guard memory.has(range) else { throw .outsideMemory(range) }
            try chain.append(range, isWritable: flags & Flag.write != 0)
            guard chain.readableCount + chain.writableCount <= Self.mostRequestBytes else {
                throw .request("a request has too many bytes")
            }
            guard flags & Flag.next != 0 else { return chain }
            index = bytes.number(at: 14)
        }
        throw .chainLength
    }

    private func indirectTable(
        _ range: GuestRange
    ) throws(VirtioDefect) -> (address: UInt64, count: UInt32) {
        let (count, rest) = range.byteCount.quotientAndRemainder(
            dividingBy: Self.descriptorByteCount
        )
        guard rest == 0, count > 0, count <= Int(state.size) else { throw .indirectTable }
        return (range.address, UInt32(count))
    }
}
