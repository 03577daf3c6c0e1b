// SPDX-License-Identifier: Apache-2.0

/// Reads bytes written as hexadecimal digits; spaces and line ends are skipped.
package func bytes(hexadecimal text: String) -> [UInt8] {
    var bytes: [UInt8] = []
    var high: UInt8?
    for digit in text {
        if digit.isWhitespace { continue }
        guard let value = digit.hexDigitValue.map(UInt8.init) else {
            preconditionFailure("not a hexadecimal digit: \(digit)")
        }
        if let first = high {
            bytes.append(first << 4 | value)
            high = nil
        } else {
            high = value
        }
    }
    precondition(high == nil, "half a byte")
    return bytes
}

/// Writes bytes as hexadecimal digits.
package func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { byte in
        (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
    .joined()
}
