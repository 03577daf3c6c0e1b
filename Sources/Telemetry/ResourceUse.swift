// SPDX-License-Identifier: Apache-2.0

internal import LinuxSystem

/// What the migration cost the process that reports.
package struct ResourceUse: Codable, Equatable, Sendable {
    /// CPU time of all threads of the process, the guest's vCPUs included.
    package var processCPUMicroseconds: UInt64 = 0
    /// Of this, time in the process's own code and, as the kernel counts it, in the guest.
    package var userCPUMicroseconds: UInt64?
    /// Of this, time in the kernel.
    package var systemCPUMicroseconds: UInt64?
    /// The most memory that was resident at one time.
    package var residentPeakBytes: UInt64 = 0
    /// That, less guest memory.
    package var residentBeyondGuestBytes: UInt64 = 0
    /// Bookkeeping per guest page: page map, bitmaps and the like.
    package var metadataBytesPerPage: Double?

    /// Nothing measured yet.
    package init() {}

    /// What this process has used up to now.
    ///
    /// - Parameters:
    ///   - guestBytes: Guest memory, all of which is taken to be resident.
    ///   - metadataBytesPerPage: Bookkeeping per guest page.
    package init(guestBytes: Int, metadataBytesPerPage: Double) {
        let peak = Host.peakResidentBytes
        processCPUMicroseconds = processCPUNanoseconds() / 1000
        let split = Host.processCPUMicroseconds
        userCPUMicroseconds = split.user
        systemCPUMicroseconds = split.system
        residentPeakBytes = UInt64(peak)
        residentBeyondGuestBytes = UInt64(max(0, peak - guestBytes))
        self.metadataBytesPerPage = metadataBytesPerPage
    }

    private enum CodingKeys: String, CodingKey {
        case processCPUMicroseconds = "process_cpu_us"
        case userCPUMicroseconds = "user_cpu_us"
        case systemCPUMicroseconds = "system_cpu_us"
        case residentPeakBytes = "resident_peak_bytes"
        case residentBeyondGuestBytes = "resident_beyond_guest_bytes"
        case metadataBytesPerPage = "metadata_bytes_per_page"
    }
}
