// SPDX-License-Identifier: Apache-2.0

package import Telemetry

/// Tells a person at a terminal, or a log, how a migration goes.
///
/// For one thread.
package final class ConsoleObserver: MigrationObserver {
    private let program: String
    private var printer = ProgressPrinter()

    /// - Parameter program: Begins the lines that are about this process.
    package init(program: String) {
        self.program = program
    }

    package func phaseChanged(from old: String, to new: String) {
        printer.phase(from: old, to: new)
    }

    package func progressed(_ progress: TransferProgress) {
        printer.show(progress)
    }

    package func noted(_ text: String) {
        printer.line("\(program): \(text)")
    }

    /// One plain line, as it is.
    package func line(_ text: String) {
        printer.line(text)
    }
}
