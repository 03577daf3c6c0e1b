// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import MigrationDestination
internal import Telemetry

/// What it costs to stamp the stages of faults and add them up: how fast a thread fetches one page
/// after the other, with and without.
struct RecordingCost {
    private let source: GuestRAM

    /// Most pages fetched in one measurement.
    static let mostPages = 65_536

    /// Pages fetched in one measurement.
    private var pageCount: Int { source.layout.pageCount }
    /// Of these, those before the steady state: buffers and histograms are used for the first time.
    private var warmUp: Int { pageCount / 8 }

    /// - Parameter pageCount: Pages fetched in one measurement.
    /// - Throws: What this host lacks.
    init(pageCount: Int) throws {
        source = try PagePattern.mixed.memory(pageCount: pageCount)
    }

    /// How fast pages come, each of them requested.
    ///
    /// - Parameters:
    ///   - medium: What carries the lanes.
    ///   - isRecording: Whether stages are stamped, and added up by another thread.
    /// - Returns: Pages per second.
    /// - Throws: What this host lacks, or what failed.
    func rate(over medium: Medium, isRecording: Bool) throws -> Double {
        let pair = try FetchingPair(source, over: medium, prefetchPages: 0)
        defer { pair.end() }
        let ring = isRecording ? FaultSpanRing() : nil
        let (pageCount, warmUp) = (pageCount, warmUp)
        let nanoseconds = try pair.fetch(recordingInto: ring) { server -> UInt64? in
            var start = MonotonicTime.now
            for number in 0..<pageCount {
                if number == warmUp { start = .now }
                guard server.serve(UInt64(number) << UInt64(GuestPage.shift)) else { return nil }
                server.reenters()
            }
            return MonotonicTime.now.nanoseconds(since: start)
        }
        return Double(pageCount - warmUp) * 1e9 / Double(max(1, nanoseconds))
    }
}
