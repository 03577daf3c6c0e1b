// SPDX-License-Identifier: Apache-2.0

import ProcessSupport
import Telemetry
import TestSupport
import Testing

/// The real executables against peers that break every rule of PROTOCOL.md.
@Suite(.serialized, .timeLimit(.minutes(3)), .enabled(if: HostFacts.runsMigrationTests))
struct HostilePeerTests {}

/// A source that has been through something gives its guest to an honest destination.
///
/// - Returns: The destination's report.
@discardableResult
func expectHealthy(
    _ source: ApusProcess,
    on bench: Bench,
    location: SourceLocation = #_sourceLocation
) throws -> MigrationReport {
    #expect(source.isRunning, "\(source.log)", sourceLocation: location)
    let heir = try bench.destination(to: source.address(), ["--run-after", "150ms"])
    let end = try heir.waitForEnd(within: 30)
    #expect(end == .exited(0), "\(source.log)\n\(heir.log)", sourceLocation: location)
    #expect(try source.waitForEnd(within: 10) == .exited(0), sourceLocation: location)
    let report = try heir.report()
    #expect(report.digest.match == true, sourceLocation: location)
    for use in [report.resources, try source.report().resources] {
        #expect(use.residentBeyondGuestBytes <= 64 << 20, sourceLocation: location)
    }
    return report
}

/// Waits until a process has said something that it had not said before.
func expectNews(
    _ texts: [String],
    from process: ApusProcess,
    since before: Int,
    within seconds: Double = 12,
    location: SourceLocation = #_sourceLocation
) {
    let isThere = waitUntil(within: seconds) {
        let news = process.log.dropFirst(before)
        return texts.allSatisfy { news.contains($0) } || !process.isRunning
    }
    let news = process.log.dropFirst(before)
    for text in texts where !(isThere && news.contains(text)) {
        Issue.record("no '\(text)' in: \(news)", sourceLocation: location)
    }
}
