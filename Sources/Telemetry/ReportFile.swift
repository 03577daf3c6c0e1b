// SPDX-License-Identifier: Apache-2.0

package import Foundation
package import LinuxSystem

/// Why a report could not be written or read.
package enum ReportFileError: Error, Equatable, CustomStringConvertible {
    /// A system call failed on a path.
    case system(SystemError, path: String)
    /// The file is no report, or one of a format this code does not know.
    case unreadable(path: String, reason: String)

    /// One line for a person.
    package var description: String {
        switch self {
        case .system(let error, let path): "report \(path): \(error)"
        case .unreadable(let path, let reason): "report \(path): \(reason)"
        }
    }
}

/// A ``MigrationReport`` as a JSON file: sorted keys, one value a line.
package enum ReportFile {
    /// The JSON of a report, the same bytes for equal reports, with a newline at the end.
    ///
    /// - Parameter report: What to encode.
    /// - Returns: UTF-8 text.
    /// - Throws: `EncodingError` for a number that JSON cannot hold, such as infinity.
    package static func encode(_ report: MigrationReport) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(report) + Data("\n".utf8)
    }

    /// Writes a report so that a reader sees all of it or what was there before.
    ///
    /// A regular file is replaced by renaming; anything else, such as /dev/stdout or a pipe, is
    /// written to as it is.
    ///
    /// - Parameters:
    ///   - report: What to write.
    ///   - path: The file. Its folder must exist.
    /// - Throws: ``ReportFileError``; a file that was there before is then as it was.
    package static func write(
        _ report: MigrationReport,
        to path: String
    ) throws(ReportFileError) {
        let data: Data
        do {
            data = try encode(report)
        } catch {
            throw .unreadable(path: path, reason: "cannot be encoded: \(error)")
        }
        do throws(SystemError) {
            if OutputFile.isReplaceable(path) {
                try OutputFile.replace(path, with: data)
            } else {
                try OutputFile.fill(path, with: data)
            }
        } catch {
            throw .system(error, path: path)
        }
    }

    /// Reads a report back.
    ///
    /// - Parameter path: The file.
    /// - Returns: The report, which is of the current format version.
    /// - Throws: ``ReportFileError/unreadable(path:reason:)`` for all that can be wrong with it.
    package static func read(_ path: String) throws(ReportFileError) -> MigrationReport {
        let report: MigrationReport
        do {
            let data = try Data(contentsOf: URL(fileURLWithPath: path))
            report = try JSONDecoder().decode(MigrationReport.self, from: data)
        } catch {
            throw .unreadable(path: path, reason: "cannot be read: \(error)")
        }
        let version = report.formatVersion
        let known = MigrationReport.currentFormatVersion
        guard version == known else {
            throw .unreadable(path: path, reason: "format version \(version), not \(known)")
        }
        return report
    }
}
