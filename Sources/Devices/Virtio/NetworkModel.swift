// SPDX-License-Identifier: Apache-2.0

/// A network card, without checksums or segmentation of its own.
///
/// Virtual I/O Device 1.2, section 5.1.
package struct NetworkModel<Port: FramePort>: VirtioModel {
    package let identity: VirtioIdentity
    private let address: EthernetAddress
    private let port: Port

    private static var receiveQueue: Int { 0 }
    private static var addressFeature: UInt64 { 1 << 5 }
    private static var headerByteCount: Int { 12 }
    /// An Ethernet header and what may follow it on any network.
    private static var mostFrameBytes: Int { 1 << 16 }

    /// - Parameters:
    ///   - address: Of the card.
    ///   - port: Where it is plugged in.
    package init(_ address: EthernetAddress, port: Port) {
        self.address = address
        self.port = port
        identity = VirtioIdentity(
            .network,
            features: Self.addressFeature,
            configuration: address.bytes,
            queueCount: 2
        )
    }

    package mutating func serve(
        _ queue: Int,
        _ ring: inout Virtqueue,
        _ memory: some DeviceMemory,
        features: UInt64
    ) throws(VirtioDefect) -> ServiceOutcome {
        queue == Self.receiveQueue ? try receive(&ring, memory) : try send(&ring, memory)
    }

    /// Says where this address is now: a request of RARP, which nobody answers, to everybody, from
    /// which switches learn (RFC 903).
    package mutating func announce() {
        var frame = [UInt8](repeating: 0xFF, count: 6) + address.bytes
        frame += [0x80, 0x35]  // RARP
        frame += [0, 1, 8, 0, 6, 4, 0, 3]  // Ethernet, IPv4, their sizes, a request
        frame += address.bytes + [0, 0, 0, 0]
        frame += address.bytes + [0, 0, 0, 0]
        frame += [UInt8](repeating: 0, count: 60 - frame.count)
        port.send(frame)
    }

    private mutating func receive(
        _ ring: inout Virtqueue,
        _ memory: some DeviceMemory
    ) throws(VirtioDefect) -> ServiceOutcome {
        var attempt = ring
        guard let chain = try attempt.next(in: memory) else { return .idle }
        let frame: [UInt8]
        switch port.receive() {
        case .frame(let arrived): frame = arrived
        case .notYet: return .starved
        // Nothing to wait for: what it would come from says that it is ready for ever.
        case .closed: return .idle
        }
        var header = [UInt8](repeating: 0, count: Self.headerByteCount)
        header.store(UInt16(1), at: 10)  // one buffer
        let packet = header + frame
        // One that does not fit is lost; the buffer is kept for the next.
        guard packet.count <= chain.writableCount else { return .served(wantsInterrupt: false) }
        try chain.write(packet[...], at: 0, in: memory)
        ring = attempt
        return .served(
            wantsInterrupt: try ring.complete(chain, written: packet.count, in: memory)
        )
    }

    private mutating func send(
        _ ring: inout Virtqueue,
        _ memory: some DeviceMemory
    ) throws(VirtioDefect) -> ServiceOutcome {
        guard let chain = try ring.next(in: memory) else { return .idle }
        let count = chain.readableCount - Self.headerByteCount
        guard count > 0, count <= Self.mostFrameBytes else {
            throw .request("\(chain.readableCount) bytes are no frame and its header")
        }
        port.send(try chain.read(from: Self.headerByteCount, count: count, in: memory))
        return .served(wantsInterrupt: try ring.complete(chain, written: 0, in: memory))
    }
}
