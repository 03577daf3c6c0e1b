// SPDX-License-Identifier: Apache-2.0

internal import MigrationWire
package import Telemetry

/// Where a process tells how its migrations go: to a person, and to programs that asked.
///
/// For one thread.
package final class MigrationOutputs {
    /// Who is told what a person should know.
    package let console: ConsoleObserver
    /// Where reports go, if anywhere.
    package let reportPath: String?
    private let metricsPath: String?
    private let events: EventStream?

    init(
        _ console: ConsoleObserver,
        reportPath: String?,
        metricsPath: String?,
        events: EventStream?
    ) {
        self.console = console
        self.reportPath = reportPath
        self.metricsPath = metricsPath
        self.events = events
    }

    /// An observer that tells all of them.
    ///
    /// - Parameter role: The side that this process has in the migrations it is told of.
    /// - Returns: For one thread, as all observers are.
    package func observer(as role: MigrationRole) -> any MigrationObserver {
        var members: [any MigrationObserver] = [console]
        if let events { members.append(EventObserver(events, as: role)) }
        if let metricsPath {
            members.append(
                MetricsObserver(
                    metricsPath,
                    as: role,
                    phases: Phase.allCases.map(\.rawValue),
                    complain: console.noted
                )
            )
        }
        return ObserverGroup(members)
    }
}
