// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import KVM
internal import LinuxSystem

/// What a run of demand paging gave, with all that it was given.
struct PagingResult: Codable {
    /// What vCPUs' touches took: `nowait`, `attributes` or `userfault`.
    let faultPath: String
    let mode: PagingMode
    let backing: PagingBacking
    let vCPUs: Int
    let bytesPerVCPU: Int
    /// Bytes that are installed at once.
    let pageBytes: Int
    let singleUserfault: Bool
    let readers: Int
    let overlap: Bool
    let delayMicroseconds: UInt32
    /// From the moment all threads are let go to the end of the last vCPU.
    let pagingSeconds: Double
    /// Pages of 4 KiB that a vCPU touched in a second.
    let pagesPerSecondPerVCPU: Double
    /// The same of all vCPUs together.
    let pagesPerSecond: Double
    /// See ``PagingCounts``.
    let installs: Int
    let exits: Int
    let exitsOnPresent: Int
    let exitsElsewhere: Int
    let userfaults: Int
    let userfaultsOnPresent: Int
    /// Where the time of a page goes on exits; only if asked for.
    let pageCost: PageCost?

    private enum CodingKeys: String, CodingKey {
        case faultPath = "fault_path"
        case mode, backing
        case vCPUs = "vcpus"
        case bytesPerVCPU = "bytes_per_vcpu"
        case pageBytes = "page_bytes"
        case singleUserfault = "single_userfault"
        case readers, overlap
        case delayMicroseconds = "delay_us"
        case pagingSeconds = "paging_s"
        case pagesPerSecondPerVCPU = "pages_per_s_per_vcpu"
        case pagesPerSecond = "pages_per_s"
        case installs, exits
        case exitsOnPresent = "exits_on_present"
        case exitsElsewhere = "exits_elsewhere"
        case userfaults
        case userfaultsOnPresent = "userfaults_on_present"
        case pageCost = "page_cost"
    }

    /// - Parameters:
    ///   - parameters: What was asked for.
    ///   - counts: Of all threads.
    ///   - nanoseconds: The paging time.
    init(_ parameters: PagingParameters, _ counts: PagingCounts, nanoseconds: UInt64) {
        faultPath = parameters.path.rawValue
        mode = parameters.mode
        backing = parameters.backing
        vCPUs = parameters.vCPUs
        bytesPerVCPU = parameters.bytesPerVCPU
        pageBytes = parameters.backing.pageByteCount
        singleUserfault = parameters.isSingleUserfault
        readers = parameters.readers
        overlap = parameters.overlaps
        delayMicroseconds = parameters.delayMicroseconds
        pagingSeconds = Double(max(1, nanoseconds)) / 1e9
        pagesPerSecondPerVCPU = Double(parameters.touchesPerVCPU) / pagingSeconds
        pagesPerSecond = pagesPerSecondPerVCPU * Double(parameters.vCPUs)
        installs = counts.installs
        exits = counts.exits
        exitsOnPresent = counts.exitsOnPresent
        exitsElsewhere = counts.exitsElsewhere
        userfaults = counts.userfaults
        userfaultsOnPresent = counts.userfaultsOnPresent
        pageCost = counts.clock.map { PageCost($0, pages: counts.installs) }
    }

    /// Some lines for a person, the rates as the kernel's demand_paging_test words them.
    var text: String {
        let memory = "\(bytesPerVCPU >> 10) KiB for each of \(vCPUs) vCPUs, \(backing.rawValue)"
        return """
            Fault path:                 \(faultPath), \(mode.rawValue)
            Memory:                     \(memory), pages of \(pageBytes >> 10) KiB
            Paging time:                \(String(format: "%.6f", pagingSeconds)) s
            Per-vcpu demand paging rate:\t\(String(format: "%f", pagesPerSecondPerVCPU)) pgs/sec/vcpu
            Overall demand paging rate:\t\(String(format: "%f", pagesPerSecond)) pgs/sec
            Memory fault exits:         \(exits), on present pages \(exitsOnPresent), \
            elsewhere \(exitsElsewhere)
            Userfaults:                 \(userfaults), on present pages \(userfaultsOnPresent)
            Pages installed:            \(installs)
            """ + (pageCost.map { "\nA page costs:               \($0.text)" } ?? "")
    }
}
