// SPDX-License-Identifier: Apache-2.0

/// A disk.
///
/// A request is given back when it is done, and not before; one that flushes when everything
/// written before it is durable. For a driver that does not know how to flush every write is.
/// Virtual I/O Device 1.2, section 5.2.
package struct BlockModel<Contents: DiskContents>: VirtioModel {
    package let identity: VirtioIdentity
    private let shape: DiskShape
    private let contents: Contents
    private let name: [UInt8]

    private static var sector: UInt64 { 512 }
    private static var headerByteCount: Int { 16 }
    private static var nameByteCount: Int { 20 }
    /// Bytes that are copied between guest memory and the disk at once; whole blocks.
    private static var chunk: Int { 1 << 16 }

    /// - Parameters:
    ///   - shape: What the guest sees.
    ///   - name: Of the disk, for the guest; 20 bytes of it count.
    ///   - contents: What it keeps its bytes in.
    package init(_ shape: DiskShape, name: String, contents: Contents) {
        self.shape = shape
        self.contents = contents
        self.name = Array(name.utf8.prefix(Self.nameByteCount))
        var configuration = [UInt8](repeating: 0, count: 24)
        configuration.store(shape.byteCount / Self.sector, at: 0)
        // The header and the status take a descriptor each.
        configuration.store(VirtqueueState.mostEntries - 2, at: 12)
        configuration.store(shape.blockByteCount, at: 20)
        identity = VirtioIdentity(
            .block,
            features: Feature.mostSegments | Feature.blockSize
                | (shape.isReadOnly ? Feature.readOnly : Feature.flush),
            configuration: configuration,
            queueCount: 1
        )
    }

    package mutating func serve(
        _ queue: Int,
        _ ring: inout Virtqueue,
        _ memory: some DeviceMemory,
        features: UInt64
    ) throws(VirtioDefect) -> ServiceOutcome {
        guard let chain = try ring.next(in: memory) else { return .idle }
        guard chain.writableCount > 0 else {
            throw .request("a disk request has no room for its status")
        }
        let header = try chain.read(from: 0, count: Self.headerByteCount, in: memory)
        let sector: UInt64 = header.number(at: 8)
        let room = chain.writableCount - 1
        var written = 0
        let status: Status
        switch header.number(at: 0) as UInt32 {
        case Operation.read:
            status = try read(chain, room, from: sector, memory)
            if status == .done { written = room }
        case Operation.write:
            status = try write(chain, at: sector, memory, features)
        case Operation.flush:
            status = contents.flush() ? .done : .failed
        case Operation.name:
            let count = min(room, Self.nameByteCount)
            let padded = name + [UInt8](repeating: 0, count: Self.nameByteCount - name.count)
            try chain.write(padded[..<count], at: 0, in: memory)
            written = count
            status = .done
        default:
            status = .unsupported
        }
        try chain.write([status.rawValue], at: room, in: memory)
        return .served(
            // The status is the last byte: only where all before it was written, too, does the
            // count reach it.
            wantsInterrupt: try ring.complete(
                chain,
                written: written == room ? room + 1 : written,
                in: memory
            )
        )
    }

    private func read(
        _ chain: DescriptorChain,
        _ count: Int,
        from sector: UInt64,
        _ memory: some DeviceMemory
    ) throws(VirtioDefect) -> Status {
        guard let start = offset(of: sector, count) else { return .failed }
        var done = 0
        while done < count {
            var bytes = [UInt8](repeating: 0, count: min(Self.chunk, count - done))
            guard contents.read(into: &bytes, at: start + UInt64(done)) else { return .failed }
            try chain.write(bytes[...], at: done, in: memory)
            done += bytes.count
        }
        return .done
    }

    private func write(
        _ chain: DescriptorChain,
        at sector: UInt64,
        _ memory: some DeviceMemory,
        _ features: UInt64
    ) throws(VirtioDefect) -> Status {
        let count = chain.readableCount - Self.headerByteCount
        guard !shape.isReadOnly, let start = offset(of: sector, count) else { return .failed }
        var done = 0
        while done < count {
            let bytes = try chain.read(
                from: Self.headerByteCount + done,
                count: min(Self.chunk, count - done),
                in: memory
            )
            guard contents.write(bytes, at: start + UInt64(done)) else { return .failed }
            done += bytes.count
        }
        let isDurable = features & Feature.flush != 0 || contents.flush()
        return isDurable ? .done : .failed
    }

    /// Where so many bytes begin on the disk; nil where they are not whole blocks of it.
    private func offset(of sector: UInt64, _ count: Int) -> UInt64? {
        let (start, overflows) = sector.multipliedReportingOverflow(by: Self.sector)
        let block = UInt64(shape.blockByteCount)
        guard !overflows, count > 0, start % block == 0, UInt64(count) % block == 0,
            start <= shape.byteCount, UInt64(count) <= shape.byteCount - start
        else { return nil }
        return start
    }
}

private enum Feature {
    static let mostSegments: UInt64 = 1 << 2
    static let readOnly: UInt64 = 1 << 5
    static let blockSize: UInt64 = 1 << 6
    static let flush: UInt64 = 1 << 9
}

private enum Operation {
    static let read: UInt32 = 0
    static let write: UInt32 = 1
    static let flush: UInt32 = 4
    static let name: UInt32 = 8
}

private enum Status: UInt8 {
    case done = 0
    case failed = 1
    case unsupported = 2
}
