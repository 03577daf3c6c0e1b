// SPDX-License-Identifier: Apache-2.0

/// Guest pages by how they came.
package struct PageCounts: Codable, Equatable, Sendable {
    /// Pages of guest memory; `requested`, `prefetched`, `streamed` and what came in precopy rounds
    /// and stayed add up to it when all have arrived.
    package var total: UInt64 = 0
    /// Installed from the answer to a page request (QEMU's `postcopy-requests` counts these).
    package var requested: UInt64 = 0
    /// Installed from the background stream.
    package var streamed: UInt64 = 0
    /// Installed before anybody asked, since requests were on their way to them.
    package var prefetched: UInt64 = 0
    /// Of all these: pages of zeros. (QEMU calls these `duplicate`.)
    package var zero: UInt64 = 0
    /// Arrived for a page that was already installed, and dropped.
    package var duplicate: UInt64 = 0

    /// No pages yet.
    package init() {}
}

/// Guest memory in bytes, before and after what was done to make it smaller.
package struct ByteCounts: Codable, Equatable, Sendable {
    /// Contents of the pages sent.
    package var raw: UInt64 = 0
    /// Bytes on the page lanes, headers included.
    package var wire: UInt64 = 0

    /// No bytes yet, unless said otherwise.
    ///
    /// - Parameters:
    ///   - raw: Contents of the pages sent.
    ///   - wire: Bytes on the page lanes.
    package init(raw: UInt64 = 0, wire: UInt64 = 0) {
        self.raw = raw
        self.wire = wire
    }

    private enum CodingKeys: String, CodingKey {
        case raw = "raw_bytes"
        case wire = "wire_bytes"
    }
}
