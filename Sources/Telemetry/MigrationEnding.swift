// SPDX-License-Identifier: Apache-2.0

/// How a migration ended, as one side has it.
package struct MigrationEnding: Sendable {
    /// In a word.
    package let outcome: MigrationOutcome
    /// Why, for a person; nil after a completed migration.
    package let error: String?
    /// All that this side can tell; nil when it ended before there was a machine.
    package let report: MigrationReport?

    /// The end of a migration that can be told of.
    ///
    /// - Parameter report: All that this side can tell.
    package init(_ report: MigrationReport) {
        outcome = report.outcome
        error = report.error
        self.report = report
    }

    /// The end of a migration that never had a machine: it is cancelled.
    ///
    /// - Parameter error: Why.
    package init(cancelledFor error: String) {
        outcome = .cancelled
        self.error = error
        report = nil
    }
}
