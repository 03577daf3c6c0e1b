// SPDX-License-Identifier: Apache-2.0

internal import Telemetry

/// A number by which migrations are compared.
struct Measure: Sendable {
    /// How it is written.
    enum Unit: Sendable {
        case nanoseconds, bytes, count, percent
    }

    /// What it is.
    let name: String
    /// How it is written.
    let unit: Unit
    /// Of a migration; nil where it is not known.
    let value: @Sendable (Migration) -> Double?

    /// The number with its unit.
    func text(_ value: Double) -> String {
        // More than any of these is, and still an integer.
        let whole = UInt64(min(max(value, 0), 9e18))
        return switch unit {
        case .nanoseconds: HumanUnits.duration(nanoseconds: whole)
        case .bytes: HumanUnits.bytes(whole)
        case .count: HumanUnits.grouped(whole)
        case .percent: "\(HumanUnits.significant(value)) %"
        }
    }

    /// All of them, the most important first.
    static let all: [Measure] = [
        micros("gap from outside") { $0.gap(\.outsideMicroseconds) },
        micros("  before") { $0.gap(\.outsideBeforeMicroseconds) },
        micros("  after") { $0.gap(\.outsideAfterMicroseconds) },
        micros("gap in the guest") { $0.gap(\.guestMicroseconds) },
        micros("downtime") { $0.switchover(\.downtimeMicroseconds) },
        micros("  save") { $0.switchover(\.saveMicroseconds) },
        micros("  send") { $0.switchover(\.sendMicroseconds) },
        micros("  wire") { $0.switchover(\.wireMicroseconds) },
        micros("  load") { $0.switchover(\.loadMicroseconds) },
        micros("  start") { $0.switchover(\.startMicroseconds) },
        micros("quiesce") { $0.switchover(\.quiesceMicroseconds) },
        micros("postcopy") { $0.either(\.postcopyMicroseconds) },
        micros("total") { $0.either(\.totalMicroseconds) },
        Measure(name: "work lost", unit: .nanoseconds) { migration in
            ProgressAccount(migration)?.lostMilliseconds.map { max(0, $0) * 1e6 }
        },
        nanos("fault latency p50") { $0.p50Nanoseconds },
        nanos("fault latency p90") { $0.p90Nanoseconds },
        nanos("fault latency p99") { $0.p99Nanoseconds },
        nanos("fault latency max") { $0.maximumNanoseconds },
        count("page requests") { $0.destination?.faults?.requests },
        count("pages requested") { $0.destination?.pages.requested },
        count("pages prefetched") { $0.destination?.pages.prefetched },
        count("pages duplicate") { $0.destination?.pages.duplicate },
        micros("vCPUs blocked, all at once") {
            $0.destination?.faults?.overlappedBlockMicroseconds
        },
        micros("vCPUs blocked, at most") {
            $0.destination?.faults?.vCPUBlockMicroseconds?.max()
        },
        Measure(name: "bytes on the lanes", unit: .bytes) { migration in
            migration.bytes.raw > 0 ? Double(migration.bytes.wire) : nil
        },
        Measure(name: "  of page contents", unit: .percent) { migration in
            let bytes = migration.bytes
            return bytes.raw > 0 ? 100 * Double(bytes.wire) / Double(bytes.raw) : nil
        },
        micros("CPU time, source") { $0.source?.resources.processCPUMicroseconds },
        micros("CPU time, destination") { $0.destination?.resources.processCPUMicroseconds },
        Measure(name: "memory beyond the guest, destination", unit: .bytes) { migration in
            migration.destination.map { Double($0.resources.residentBeyondGuestBytes) }
        },
    ]

    private static func micros(
        _ name: String,
        _ value: @escaping @Sendable (Migration) -> UInt64?
    ) -> Measure {
        Measure(name: name, unit: .nanoseconds) { value($0).map { Double($0) * 1000 } }
    }

    private static func nanos(
        _ name: String,
        _ value: @escaping @Sendable (LatencySummary) -> UInt64
    ) -> Measure {
        Measure(name: name, unit: .nanoseconds) { migration in
            migration.destination?.faults?.latency.map { Double(value($0)) }
        }
    }

    private static func count(
        _ name: String,
        _ value: @escaping @Sendable (Migration) -> UInt64?
    ) -> Measure {
        Measure(name: name, unit: .count) { value($0).map { Double($0) } }
    }
}
