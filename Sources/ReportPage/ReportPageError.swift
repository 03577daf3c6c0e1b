// SPDX-License-Identifier: Apache-2.0

/// Why there is no page.
package enum ReportPageError: Error, Equatable, CustomStringConvertible {
    /// No file was named.
    case nothing
    /// A file that cannot be read, or is no report.
    case unreadable(path: String, reason: String)
    /// A page that cannot be written.
    case unwritable(path: String, reason: String)
    /// A report of a migration and a table of rates.
    case mixed(String, String)
    /// Two reports of the same side of the same migration.
    case twice(String, String)
    /// There is no chart library.
    case noChartLibrary(String)

    /// One line for a person.
    package var description: String {
        switch self {
        case .nothing: "no report was named"
        case .unreadable(let path, let reason), .unwritable(let path, let reason):
            "\(path): \(reason)"
        case .mixed(let one, let other):
            "\(one) and \(other) do not go on one page: one is of a migration, "
                + "the other a table of paging rates"
        case .twice(let one, let other):
            "\(one) and \(other) are of the same side of the same migration"
        case .noChartLibrary(let text): text
        }
    }
}
