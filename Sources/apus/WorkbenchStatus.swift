// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import Console

/// What the workbench's exit code means; the codes of the pair keep their meaning.
enum WorkbenchStatus {
    /// A run failed, or a ratio falls short of what was required.
    static let failed = ExitCode(1)
    /// This host lacks something.
    static let hostUnfit = ExitCode(ExitStatus.hostUnfit.rawValue)

    /// Runs a benchmark; a failure is told and becomes its exit code.
    static func concluding(_ benchmark: () throws(BenchFailure) -> Void) throws(ExitCode) {
        do {
            try benchmark()
        } catch {
            ConsoleObserver(program: "apus").noted("\(error)")
            switch error {
            case .hostUnfit: throw hostUnfit
            case .failed: throw failed
            }
        }
    }

    /// For `--help`: code and meaning, a line each.
    static let help = """
        EXIT CODES:
           0  done
           1  a run failed, or a ratio falls short of --require
          64  the command line makes no sense
          69  this host lacks something; the message says what, and the remedy
        """
}
