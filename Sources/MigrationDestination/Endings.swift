// SPDX-License-Identifier: Apache-2.0

internal import MigrationWire
internal import Telemetry

extension MigrationEnding {
    /// The end of a destination's migration, as observers are told it.
    init(_ end: DestinationEnd) {
        switch end {
        case .arrived(_, let report), .unconfirmed(_, _, let report), .lost(_, _, let report):
            self.init(report)
        case .cancelled(let error, let report):
            if let report {
                self.init(report)
            } else {
                self.init(cancelledFor: error.description)
            }
        }
    }
}

extension PageCounts {
    /// The pages so far.
    init(_ totals: IncomingTotals, of pageCount: Int) {
        self.init()
        total = UInt64(pageCount)
        requested = UInt64(totals.requested)
        streamed = UInt64(totals.streamed)
        prefetched = UInt64(totals.prefetched)
        zero = UInt64(totals.zero)
        duplicate = UInt64(totals.duplicate)
    }
}
