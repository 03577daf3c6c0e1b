// SPDX-License-Identifier: Apache-2.0

internal import CXXHash
package import GuestMemory

/// A digest of pages that does not depend on their order.
///
/// The sum, in each of two 64-bit halves, of the XXH3 128-bit hashes of the pages, each seeded
/// with its page number. A zero page counts as one without bytes, since it travels as that. It finds
/// accidents, not forgeries.
package struct PageDigest: Equatable, Sendable, CustomStringConvertible {
    /// Lower half.
    package var low: UInt64
    /// Upper half.
    package var high: UInt64

    /// The digest of no pages, or one that a peer sent.
    package init(low: UInt64 = 0, high: UInt64 = 0) {
        self.low = low
        self.high = high
    }

    /// Adds one page.
    ///
    /// - Parameters:
    ///   - page: Its number.
    ///   - contents: Its 4096 bytes, which must not change meanwhile; not looked at for a page
    ///     that travels as zero.
    ///   - encoding: How it travels.
    package mutating func add(
        _ page: PageIndex,
        contents: UnsafeRawBufferPointer,
        as encoding: PageEncoding
    ) {
        let count = encoding == .zero ? 0 : GuestPage.byteCount
        let hash = unsafe cxxhash_128(contents.baseAddress, count, UInt64(page.rawValue))
        low &+= hash.low64
        high &+= hash.high64
    }

    /// Adds one page, however it travels.
    ///
    /// - Parameters:
    ///   - page: Its number.
    ///   - contents: Its 4096 bytes, 8-byte aligned, which must not change meanwhile.
    /// - Returns: Whether it is a page of zeros.
    @discardableResult
    package mutating func add(_ page: PageIndex, contents: UnsafeRawBufferPointer) -> Bool {
        let isZero = unsafe isZero(contents)
        unsafe add(page, contents: contents, as: isZero ? .zero : .raw)
        return isZero
    }

    /// The digest less the pages of another one.
    package func without(_ other: PageDigest) -> PageDigest {
        PageDigest(low: low &- other.low, high: high &- other.high)
    }

    /// Adds the pages of another digest.
    package mutating func add(_ other: PageDigest) {
        low &+= other.low
        high &+= other.high
    }

    /// 32 hexadecimal digits.
    package var description: String { Self.padded(high) + Self.padded(low) }

    private static func padded(_ half: UInt64) -> String {
        let digits = String(half, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
