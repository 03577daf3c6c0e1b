// SPDX-License-Identifier: Apache-2.0

package import ArgumentParser
internal import LinuxSystem
internal import Telemetry

/// The flags by which either executable tells programs how a migration goes.
package struct OutputOptions: ParsableArguments {
    @Option(help: "Write this side's view of the migration to this JSON file.")
    package var report: String?

    @Option(
        help: ArgumentHelp(
            """
            Keep Prometheus metrics in this file, for node_exporter's textfile collector: \
            replaced with every phase, and at most once a second.
            """,
            valueName: "file.prom"
        )
    )
    package var metrics: String?

    @Option(
        help: ArgumentHelp(
            """
            Append a line of JSON to this file or open descriptor for every change of phase, \
            note, connection, and the outcome. A reader that is slow or gone loses events, \
            which the last one counts; it holds nothing up.
            """,
            valueName: "file|fd:n"
        )
    )
    package var events: EventTarget?

    package init() {}

    /// Opens what is asked for, and makes sure of what is written later.
    ///
    /// To be called first of all: a descriptor that the caller did not open must not be taken for
    /// one of our own.
    ///
    /// - Parameter console: Who is told when metrics can no longer be written.
    /// - Returns: What is open, and the paths that can be written.
    /// - Throws: ``UnusableOutput`` with cause and remedy.
    package func open(_ console: ConsoleObserver) throws(UnusableOutput) -> MigrationOutputs {
        var stream: EventStream?
        if let events { stream = EventStream(try events.open()) }
        if let report { try probe("--report", report) }
        if let metrics {
            guard OutputFile.isReplaceable(metrics) else {
                throw UnusableOutput(
                    flag: "--metrics",
                    "\(metrics) is no regular file, and is to be replaced: choose another name"
                )
            }
            try probe("--metrics", metrics)
        }
        return MigrationOutputs(console, reportPath: report, metricsPath: metrics, events: stream)
    }

    private func probe(_ flag: String, _ path: String) throws(UnusableOutput) {
        do {
            try OutputFile.probe(path)
        } catch {
            throw UnusableOutput(flag: flag, error)
        }
    }
}
