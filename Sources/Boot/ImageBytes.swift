// SPDX-License-Identifier: Apache-2.0

/// Numbers in a file that may hold anything: nothing outside it is read.
struct ImageBytes {
    let bytes: [UInt8]

    var count: Int { bytes.count }

    /// A little-endian number; nil where the file ends before it does.
    func number<Value: FixedWidthInteger & UnsignedInteger>(
        at offset: Int,
        as type: Value.Type = Value.self
    ) -> Value? {
        let size = Value.bitWidth / 8
        guard offset >= 0, offset <= count - size else { return nil }
        var value: Value = 0
        for byte in bytes[offset..<offset + size].reversed() { value = value << 8 | Value(byte) }
        return value
    }

    /// A stretch of the file; nil unless all of it is there.
    func range(_ offset: UInt64, _ byteCount: UInt64) -> Range<Int>? {
        let (end, overflow) = offset.addingReportingOverflow(byteCount)
        guard !overflow, end <= UInt64(count) else { return nil }
        return Int(offset)..<Int(end)
    }
}

extension [UInt8] {
    /// Writes a little-endian number over what is there; all of it must be.
    mutating func store<Value: FixedWidthInteger & UnsignedInteger>(_ value: Value, at offset: Int)
    {
        for position in 0..<Value.bitWidth / 8 {
            self[offset + position] = UInt8(truncatingIfNeeded: value >> (8 * Value(position)))
        }
    }
}
