// SPDX-License-Identifier: Apache-2.0

import Devices

/// Guest memory of two regions in a plain buffer: 64 KiB from address 0x1000 on, 4 KiB at 4 GiB.
///
/// For one thread.
final class FakeMemory: DeviceMemory, @unchecked Sendable {
    // Sendable: a test has one thread.
    private static let regions: [Range<UInt64>] = [0x1000..<0x1_1000, 4 << 30..<4 << 30 + 4096]

    var contents = [[UInt8]](regions.map { [UInt8](repeating: 0, count: $0.count) })
    /// Copies after which memory is lost; nil for never.
    var readsLeft: Int?

    private func place(_ range: GuestRange) -> (region: Int, offset: Int)? {
        for (index, region) in Self.regions.enumerated()
        where region.contains(range.address) {
            let offset = Int(range.address - region.lowerBound)
            return offset + range.byteCount <= contents[index].count ? (index, offset) : nil
        }
        return nil
    }

    func has(_ range: GuestRange) -> Bool { range.byteCount == 0 || place(range) != nil }

    func read(
        _ range: GuestRange,
        into bytes: inout [UInt8],
        at offset: Int
    ) throws(VirtioDefect) {
        guard let (region, start) = place(range) else { throw .outsideMemory(range) }
        if let left = readsLeft {
            guard left > 0 else { throw .memoryLost }
            readsLeft = left - 1
        }
        for position in 0..<range.byteCount {
            bytes[offset + position] = contents[region][start + position]
        }
    }

    func write(_ bytes: ArraySlice<UInt8>, at address: UInt64) throws(VirtioDefect) {
        let range = GuestRange(address, bytes.count)
        guard let (region, start) = place(range) else { throw .outsideMemory(range) }
        contents[region].replaceSubrange(start..<start + bytes.count, with: bytes)
    }

    func loadIndex(at address: UInt64) throws(VirtioDefect) -> UInt16 {
        guard address % 2 == 0 else { throw .alignment(address) }
        guard let (region, start) = place(GuestRange(address, 2)) else {
            throw .outsideMemory(GuestRange(address, 2))
        }
        return UInt16(contents[region][start]) | UInt16(contents[region][start + 1]) << 8
    }

    func storeIndex(_ value: UInt16, at address: UInt64) throws(VirtioDefect) {
        try write([UInt8(value & 0xFF), UInt8(value >> 8)], at: address)
    }

    /// Stores a number, little-endian.
    func put<Value: FixedWidthInteger>(_ value: Value, at address: UInt64) {
        let bytes = (0..<Value.bitWidth / 8).map {
            UInt8(truncatingIfNeeded: value >> Value(8 * $0))
        }
        try? write(bytes[...], at: address)
    }

    /// Loads a number, little-endian.
    func get(_ byteCount: Int, at address: UInt64) -> UInt64 {
        bytes(byteCount, at: address).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    func bytes(_ count: Int, at address: UInt64) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        try? read(GuestRange(address, count), into: &bytes, at: 0)
        return bytes
    }
}
