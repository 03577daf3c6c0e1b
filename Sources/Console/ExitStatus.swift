// SPDX-License-Identifier: Apache-2.0

/// What an executable's exit code means.
///
/// The only table of codes there is.
package enum ExitStatus: Int32, CaseIterable, Sendable {
    /// What was asked for has been done.
    case success = 0
    /// The migration ended before its commit point: the guest goes on at the source.
    case migrationCancelled = 10
    /// The migration ended after its commit point: the guest is lost.
    case guestLost = 11
    /// The two sides do not agree, or could not agree, on the guest's memory.
    case digestMismatch = 12
    /// The guest found its own memory corrupted.
    case guestCorrupted = 13
    /// The guest ended by itself.
    case guestEnded = 14
    /// The guest asked for a reset.
    case guestReset = 15
    /// The command line makes no sense.
    case usage = 64
    /// This host lacks something; the message names it and the remedy.
    case hostUnfit = 69

    /// For `--help`: code and meaning, a line each.
    package static let help = """
        EXIT CODES:
           0  done, or the guest powered off
          10  ended before the commit point: the guest goes on at the source
          11  ended after the commit point: the guest is lost
          12  the two sides do not agree on the guest's memory
          13  the guest found its memory corrupted
          14  the guest ended by itself
          15  the guest asked for a reset: it rebooted, or panicked
          64  the command line makes no sense
          69  this host lacks something; the message says what, and the remedy
        """
}
