// SPDX-License-Identifier: Apache-2.0

/// Number of a page of guest memory, counted without holes from the start of the first region.
package struct PageIndex: Comparable, Hashable, Sendable {
    /// Zero up to, not including, the layout's `pageCount`.
    package let rawValue: Int

    /// - Parameter rawValue: Not negative.
    package init(_ rawValue: Int) {
        self.rawValue = rawValue
    }

    package static func < (left: PageIndex, right: PageIndex) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// The unit in which guest memory moves.
package enum GuestPage {
    /// Bytes of a page.
    package static let byteCount = 4096
    /// Base-2 logarithm of `byteCount`.
    package static let shift = 12
}

/// Consecutive pages.
package struct PageRange: Equatable, Sendable {
    /// The first page.
    package let first: PageIndex
    /// How many pages, at least one.
    package let count: Int

    /// - Parameters:
    ///   - first: The first page.
    ///   - count: How many, at least one.
    package init(first: PageIndex, count: Int) {
        self.first = first
        self.count = count
    }

    /// Offset of the first byte from the start of guest memory.
    package var byteOffset: Int { first.rawValue << GuestPage.shift }
    /// Length in bytes.
    package var byteCount: Int { count << GuestPage.shift }
}
