// SPDX-License-Identifier: Apache-2.0

/// What became of an attempt to make pages present.
package enum InstallOutcome: Equatable, Sendable {
    /// All pages are present.
    case installed
    /// The first of them was present already (`EEXIST`); nothing was changed, nobody was woken.
    case alreadyPresent
    /// So many bytes at the beginning are done; go on behind them (`EAGAIN`).
    case partly(byteCount: Int)
    /// Nothing was done because the mapping was changing (`EAGAIN`): try again.
    case retry
}
