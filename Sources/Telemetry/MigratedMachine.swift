// SPDX-License-Identifier: Apache-2.0

/// The guest that moved.
package struct MigratedMachine: Codable, Equatable, Sendable {
    /// What kind of guest it is, for example `walker`.
    package var guest: String
    /// How many vCPUs it has.
    package var vcpuCount: Int
    /// Bytes of guest memory.
    package var memoryBytes: Int
    /// Bytes of a page, the unit in which memory moves.
    package var pageBytes: Int
    /// What guest memory is made of on the reporting side: `anonymous` or `memfd`.
    package var backing: String

    /// - Parameters:
    ///   - guest: The kind of guest.
    ///   - vcpuCount: How many vCPUs.
    ///   - memoryBytes: Bytes of guest memory.
    ///   - pageBytes: Bytes of a page.
    ///   - backing: The reporting side's kind of memory.
    package init(
        guest: String,
        vcpuCount: Int,
        memoryBytes: Int,
        pageBytes: Int,
        backing: String
    ) {
        self.guest = guest
        self.vcpuCount = vcpuCount
        self.memoryBytes = memoryBytes
        self.pageBytes = pageBytes
        self.backing = backing
    }

    private enum CodingKeys: String, CodingKey {
        case guest
        case vcpuCount = "vcpu_count"
        case memoryBytes = "memory_bytes"
        case pageBytes = "page_bytes"
        case backing
    }
}
