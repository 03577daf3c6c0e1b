// SPDX-License-Identifier: Apache-2.0

package import GuestMemory

/// Pages, equally far from each other, that are likely to be requested next.
package struct PrefetchWindow: Equatable, Sendable {
    /// The page that is likely to be requested first.
    package let first: PageIndex
    /// Pages from each one to the next, negative for a walk downwards; not zero.
    package let stride: Int
    /// How many, at least one.
    package let count: Int

    /// - Parameters:
    ///   - first: The page that is likely to be requested first.
    ///   - stride: From -32768 to 32767, not zero.
    ///   - count: 1 to 255.
    package init(first: PageIndex, stride: Int, count: Int) {
        self.first = first
        self.stride = stride
        self.count = count
    }

    /// Page `index` of the window.
    ///
    /// - Parameter index: Below `count`.
    package subscript(index: Int) -> PageIndex { PageIndex(first.rawValue + index * stride) }

    /// The window in one word, never zero; pages are at most 2^30.
    package var packed: UInt64 {
        UInt64(UInt32(first.rawValue)) | UInt64(UInt16(bitPattern: Int16(stride))) << 32
            | UInt64(UInt8(count)) << 48
    }

    /// - Parameter packed: From `packed`.
    package init(packed: UInt64) {
        first = PageIndex(Int(UInt32(truncatingIfNeeded: packed)))
        stride = Int(Int16(bitPattern: UInt16(truncatingIfNeeded: packed >> 32)))
        count = Int(UInt8(truncatingIfNeeded: packed >> 48))
    }
}
