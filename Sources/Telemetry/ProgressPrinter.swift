// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import Glibc
package import LinuxSystem

/// Shows a migration to a person who watches: phase changes and how far it is.
///
/// On a terminal the progress is one line that overwrites itself; elsewhere it is plain lines, at
/// most one a second. All of it goes to standard error, so that standard output holds results
/// only. Owned by one thread.
package struct ProgressPrinter {
    /// What the lines are written to.
    package enum Output: Sendable {
        /// A person's terminal, which can overwrite a line.
        case terminal
        /// A file, a pipe or a log.
        case plain

        /// What standard error is.
        package static var standardError: Output {
            isatty(STDERR_FILENO) == 1 ? .terminal : .plain
        }

        /// The shortest time between two progress lines.
        fileprivate var intervalNanoseconds: UInt64 {
            switch self {
            case .terminal: 100_000_000
            case .plain: 1_000_000_000
            }
        }
    }

    private let output: Output
    private let write: @Sendable (String) -> Void
    private var lastProgress: MonotonicTime?
    private var hasOpenLine = false

    /// A printer on standard error, or anywhere else.
    ///
    /// - Parameters:
    ///   - output: What is written to.
    ///   - write: Writes a piece of text there.
    package init(
        output: Output = .standardError,
        write: @escaping @Sendable (String) -> Void = writeToStandardError
    ) {
        self.output = output
        self.write = write
    }

    /// Prints a line of its own, for example `listening on unix:/run/apus.socket`.
    package mutating func line(_ text: String) {
        write((hasOpenLine ? Self.erase : "") + text + "\n")
        hasOpenLine = false
    }

    /// Prints a change of phase on a line of its own: `phase: setup → switchover`.
    package mutating func phase(from old: String, to new: String) {
        line("phase: \(old) → \(new)")
    }

    /// Shows the progress, unless it was shown a moment ago.
    ///
    /// - Parameters:
    ///   - progress: How far it is.
    ///   - instant: Now.
    package mutating func show(_ progress: TransferProgress, at instant: MonotonicTime = .now) {
        if let last = lastProgress,
            instant.nanoseconds(since: last) < output.intervalNanoseconds
        {
            return
        }
        lastProgress = instant
        switch output {
        case .terminal:
            write(Self.erase + progress.text)
            hasOpenLine = true
        case .plain:
            write(progress.text + "\n")
        }
    }

    /// Ends the line of the last progress and leaves it standing; call it before other output.
    package mutating func finish() {
        if hasOpenLine { write("\n") }
        hasOpenLine = false
    }

    /// To the first column, and erase to the end of the line.
    private static let erase = "\r\u{1B}[K"
}

/// Writes text to standard error; a reader that went away is no reason to stop a migration.
package func writeToStandardError(_ text: String) {
    try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
}
