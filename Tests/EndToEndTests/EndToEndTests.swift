// SPDX-License-Identifier: Apache-2.0

import KVM
import ProcessSupport
import Telemetry
import TestSupport
import Testing

/// Both executables as processes, with real KVM, real memory and real userfaultfd.
///
/// One after the other: a guest takes a processor for each vCPU.
@Suite(
    .serialized,
    .timeLimit(.minutes(3 * Int(slowness))),
    .enabled(if: HostFacts.runsMigrationTests)
)
struct EndToEndTests {}

/// The fault path that tests are run on: the testbed runs them on several, one after the other.
enum FaultPathUnderTest {
    fileprivate static let isFirst = [.auto, .nowait].contains(HostFacts.faultPath)

    /// Whether all migrations run, with every shape of a guest; else those that the path has much
    /// part in, with the shape that asks the most.
    static let isTestedInFull = isFirst || HostFacts.isFullRun
}

extension Trait where Self == ConditionTrait {
    /// For what has nothing to do with faults, or comes by none: once is enough.
    static var onOnePath: Self {
        .enabled(if: FaultPathUnderTest.isFirst, "no fault path has a part in it")
    }

    /// For what fault paths have little part in: on the first, and on the others with
    /// `APUS_FULL=1`.
    static var onEachPathInFullRuns: Self {
        .enabled(if: FaultPathUnderTest.isTestedInFull, "APUS_FULL=1 runs it on each fault path")
    }
}

/// Whether a migration succeeded by all that both sides say.
///
/// - Parameters:
///   - source: The source, with or without its end.
///   - destination: Its destination.
///   - touchesAbsent: Whether the guest goes on before it has all that it touches.
///   - location: Where the test asks.
/// - Returns: The destination's report.
/// - Throws: When a side leaves no end or no report.
@discardableResult
func expectSuccess(
    from source: ApusProcess,
    to destination: ApusProcess,
    touchesAbsent: Bool = true,
    location: SourceLocation = #_sourceLocation
) throws -> MigrationReport {
    let sourceEnd = try source.waitForEnd()
    #expect(sourceEnd == .exited(0), "\(source.log)", sourceLocation: location)
    #expect(source.output.hasSuffix("digest: match\n"), sourceLocation: location)
    #expect(destination.output.hasSuffix("digest: match\n"), sourceLocation: location)
    let sent = try source.report()
    let report = try destination.report()
    expectWhole(report, location)
    expectAgreement(sent, report, location)
    expectFaultPath(report, touchesAbsent: touchesAbsent, location)
    return report
}

/// On the exit paths each touch of a guest's has to be an exit; what KVM touches on its behalf,
/// the clocks it shares with Linux among that, is none.
private func expectFaultPath(
    _ report: MigrationReport,
    touchesAbsent: Bool,
    _ location: SourceLocation
) {
    guard HostFacts.faultPath != .auto else { return }
    #expect(report.faultPath == HostFacts.faultPath.rawValue, sourceLocation: location)
    let faults = report.faults
    switch HostFacts.faultPath {
    case .nowait, .attributes:
        // Where everything came before, there is nothing to touch that is absent.
        let isPrecopied = report.precopy.map { $0.pages > report.pages.total * 9 / 10 } ?? false
        let hasExits = (faults?.exits ?? 0) > 0
        #expect(hasExits || isPrecopied || !touchesAbsent, sourceLocation: location)
        guard report.machine.guest == "walker" else { return }
        // A discard makes a hole in a memfd. Where that splits a huge page of the page cache, the
        // rest of it loses its mapping; and what is present and not mapped is an exit by nowait,
        // but a userfault by attributes.
        let mayBeUnmapped =
            HostFacts.faultPath == .attributes && report.machine.backing == "memfd"
            && (report.precopy?.discardedPages ?? 0) > 0
        #expect((faults?.vcpu ?? .max) <= (mayBeUnmapped ? 16 : 0), sourceLocation: location)
    case .userfault, .auto:
        #expect(faults?.exits == 0, sourceLocation: location)
    }
}

private func expectWhole(_ report: MigrationReport, _ location: SourceLocation) {
    #expect(report.role == .destination, sourceLocation: location)
    #expect(report.outcome == .completed, sourceLocation: location)
    #expect(report.digest.match == true, sourceLocation: location)
    let pages = report.pages
    let precopied = report.precopy?.pages ?? 0
    let arrived = precopied + pages.requested + pages.prefetched + pages.streamed
    #expect(arrived == pages.total, sourceLocation: location)
    #expect(pages.total * 4096 == UInt64(report.machine.memoryBytes), sourceLocation: location)
    #expect(pages.zero <= pages.total, sourceLocation: location)
    #expect((report.switchover?.downtimeMicroseconds ?? 0) > 0, sourceLocation: location)
    #expect(report.postcopyMicroseconds != nil, sourceLocation: location)
    // Of what rounds leave, the last page may be there before the guest is seen to run.
    let isPrecopied = report.precopy != nil
    #expect((report.postcopyMicroseconds ?? 0) > 0 || isPrecopied, sourceLocation: location)
}

private func expectAgreement(
    _ source: MigrationReport,
    _ destination: MigrationReport,
    _ location: SourceLocation
) {
    #expect(source.role == .source, sourceLocation: location)
    #expect(source.outcome == .completed, sourceLocation: location)
    #expect(source.digest == destination.digest, sourceLocation: location)
    #expect(source.pages == destination.pages, sourceLocation: location)
    #expect(source.bytes.raw == destination.bytes.raw, sourceLocation: location)
    #expect(source.precopy?.rounds == destination.precopy?.rounds, sourceLocation: location)
    #expect(source.precopy?.pages == destination.precopy?.pages, sourceLocation: location)
    #expect(
        source.precopy?.discardedPages == destination.precopy?.discardedPages,
        sourceLocation: location
    )
    #expect(source.machine.vcpuCount == destination.machine.vcpuCount, sourceLocation: location)
    #expect(
        source.switchover?.downtimeMicroseconds == destination.switchover?.downtimeMicroseconds,
        sourceLocation: location
    )
}

/// Pages the walker had verified when it was stopped, as the process says.
func pagesVerifiedAtEnd(_ process: ApusProcess) -> UInt64? {
    guard let line = process.log.split(separator: "\n").last(where: { $0.contains("is stopped") })
    else { return nil }
    return line.split(separator: " ").compactMap { UInt64($0) }.last
}
