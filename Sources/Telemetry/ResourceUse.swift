// SPDX-License-Identifier: Apache-2.0

/// What the migration cost the process that reports.
package struct ResourceUse: Codable, Equatable, Sendable {
    /// CPU time of all threads of the process, the guest's vCPUs included.
    package var processCPUMicroseconds: UInt64 = 0
    /// The most memory that was resident at one time.
    package var residentPeakBytes: UInt64 = 0
    /// That, less guest memory.
    package var residentBeyondGuestBytes: UInt64 = 0
    /// Bookkeeping per guest page: page map, bitmaps and the like.
    package var metadataBytesPerPage: Double?

    /// Nothing measured yet.
    package init() {}

    private enum CodingKeys: String, CodingKey {
        case processCPUMicroseconds = "process_cpu_us"
        case residentPeakBytes = "resident_peak_bytes"
        case residentBeyondGuestBytes = "resident_beyond_guest_bytes"
        case metadataBytesPerPage = "metadata_bytes_per_page"
    }
}
