// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory

/// What the bytes of a page look like to a compressor.
package enum PageContents: CaseIterable, Sendable {
    /// All zero.
    case zero
    /// Runs of equal bytes.
    case compressible
    /// Nothing repeats.
    case incompressible
    /// Zero but for its very last byte.
    case almostZero

    /// The 4096 bytes of such a page.
    package func bytes(using random: inout SeededGenerator) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: GuestPage.byteCount)
        switch self {
        case .zero: break
        case .compressible:
            let length = Int.random(in: 16...600, using: &random)
            var value: UInt8 = 1
            for index in bytes.indices {
                if index % length == 0 { value = UInt8.random(in: 1...255, using: &random) }
                bytes[index] = value
            }
        case .incompressible:
            for index in bytes.indices { bytes[index] = UInt8.random(in: 0...255, using: &random) }
        case .almostZero:
            bytes[bytes.count - 1] = UInt8.random(in: 1...255, using: &random)
        }
        return bytes
    }
}
