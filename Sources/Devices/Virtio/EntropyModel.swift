// SPDX-License-Identifier: Apache-2.0

/// A source of random bytes: the kernel's.
///
/// Virtual I/O Device 1.2, section 5.4.
package struct EntropyModel: VirtioModel {
    package let identity = VirtioIdentity(.entropy, queueCount: 1)

    /// Most bytes for one request; a driver takes what it gets.
    static let mostBytes = 4096

    package init() {}

    package mutating func serve(
        _ queue: Int,
        _ ring: inout Virtqueue,
        _ memory: some DeviceMemory,
        features: UInt64
    ) throws(VirtioDefect) -> ServiceOutcome {
        guard let chain = try ring.next(in: memory) else { return .idle }
        var generator = SystemRandomNumberGenerator()
        let count = min(chain.writableCount, Self.mostBytes)
        var bytes = [UInt8](repeating: 0, count: (count + 7) & ~7)
        for offset in stride(from: 0, to: bytes.count, by: 8) {
            bytes.store(generator.next(), at: offset)
        }
        try chain.write(bytes[..<count], at: 0, in: memory)
        return .served(
            wantsInterrupt: try ring.complete(chain, written: count, in: memory)
        )
    }
}
