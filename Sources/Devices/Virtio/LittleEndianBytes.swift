// SPDX-License-Identifier: Apache-2.0

/// Numbers as virtio has them in memory: little-endian. Their places are the caller's to know.
extension [UInt8] {
    func number<Value: FixedWidthInteger & UnsignedInteger>(at offset: Int) -> Value {
        self[offset..<offset + Value.bitWidth / 8].reversed().reduce(0) { value, byte in
            value << 8 | Value(byte)
        }
    }

    mutating func store<Value: FixedWidthInteger & UnsignedInteger>(
        _ value: Value,
        at offset: Int
    ) {
        for position in 0..<Value.bitWidth / 8 {
            self[offset + position] = UInt8(truncatingIfNeeded: value >> Value(8 * position))
        }
    }
}
