// SPDX-License-Identifier: Apache-2.0

internal import Telemetry

/// The numbers that a reader looks for first.
enum HeadlineNumbers {
    static func make(_ migration: Migration) -> [Headline] {
        var headlines = [gap(of: migration), downtime(of: migration)]
        if let postcopy = migration.either(\.postcopyMicroseconds) {
            let rate = Double(migration.bytes.raw) * 1e6 / Double(max(postcopy, 1))
            let note = rate > 0 ? "\(HumanUnits.rate(bytesPerSecond: rate)) of guest memory" : ""
            let time = HumanUnits.duration(microseconds: postcopy)
            headlines.append(Headline("Postcopy", time, note))
        }
        if let latency = migration.destination?.faults?.latency, latency.count > 0 {
            let p99 = HumanUnits.duration(nanoseconds: latency.p99Nanoseconds)
            headlines.append(
                Headline(
                    "Fault latency, median",
                    HumanUnits.duration(nanoseconds: latency.p50Nanoseconds),
                    "p99 \(p99), of \(latency.count)"
                )
            )
        }
        if let lost = ProgressAccount(migration)?.lostMilliseconds {
            let time = lost > 0 ? HumanUnits.duration(milliseconds: lost) : "none"
            let note = "of the guest's time, from the pause to the last page"
            headlines.append(Headline("Work lost", time, note))
        }
        let isMatch = migration.report.digest.match
        headlines.append(
            Headline(
                "Memory",
                isMatch.map { $0 ? "intact" : "DIFFERS" } ?? "not compared",
                "digest of every page, by both sides"
            )
        )
        return headlines
    }

    private static func gap(of migration: Migration) -> Headline {
        let before = migration.gap(\.outsideBeforeMicroseconds).map {
            "\(HumanUnits.duration(microseconds: $0)) before the migration: this host's noise"
        }
        guard let gap = migration.gap(\.outsideMicroseconds) else {
            let reason =
                migration.isOneClock || migration.report.switchover == nil
                ? "the report has none" : "the two hosts' clocks cannot be compared"
            var unknown = Headline("Gap seen from outside", "unknown", reason)
            unknown.isMain = true
            return unknown
        }
        var headline = Headline(
            "Gap seen from outside",
            HumanUnits.duration(microseconds: migration.suffered ?? gap),
            before ?? "the longest silence of the guest"
        )
        headline.isMain = true
        return headline
    }

    private static func downtime(of migration: Migration) -> Headline {
        let note = "last KVM_RUN at the source to first at the destination"
        let downtime = migration.switchover(\.downtimeMicroseconds).map {
            HumanUnits.duration(microseconds: $0)
        }
        var headline = Headline("Downtime", downtime ?? "unknown", note)
        headline.isMain = true
        return headline
    }
}
