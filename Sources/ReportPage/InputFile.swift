// SPDX-License-Identifier: Apache-2.0

package import Foundation
package import Telemetry

/// A file to be shown.
package struct InputFile: Sendable {
    /// What a file may hold.
    package enum Content: Sendable {
        /// What a side's `--report` writes.
        case migration(MigrationReport)
        /// What `apus bench demand-paging --table … --json` writes.
        case paging(PagingRates)
    }

    /// Where it is.
    package let path: String
    /// What it holds.
    package let content: Content

    /// More than any report has; what is larger is something else.
    private static let mostBytes = 256 << 20

    /// Names a file whose content is known.
    package init(path: String, _ content: Content) {
        self.path = path
        self.content = content
    }

    /// Reads a file.
    ///
    /// - Parameter path: Where it is.
    /// - Throws: ``ReportPageError/unreadable(path:reason:)``, in one line.
    package init(reading path: String) throws(ReportPageError) {
        let data: Data
        do {
            let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            data = try file.read(upToCount: Self.mostBytes + 1) ?? Data()
        } catch {
            throw .unreadable(path: path, reason: "cannot be read: \(Self.cause(error))")
        }
        guard data.count <= Self.mostBytes else {
            throw .unreadable(path: path, reason: "is too large for a report")
        }
        try self.init(path: path, data)
    }

    /// Takes the contents of a file.
    ///
    /// - Parameters:
    ///   - path: Where it is.
    ///   - data: JSON.
    /// - Throws: ``ReportPageError/unreadable(path:reason:)``.
    package init(path: String, _ data: Data) throws(ReportPageError) {
        do {
            let head = try JSONDecoder().decode(Head.self, from: data)
            content = try head.content(data)
        } catch let problem as Head.Problem {
            throw .unreadable(path: path, reason: problem.text)
        } catch {
            throw .unreadable(path: path, reason: "is no report: \(Self.cause(error))")
        }
        self.path = path
    }

    /// An error in one line.
    static func cause(_ error: any Error) -> String {
        guard let error = error as? DecodingError else {
            let known = error as NSError
            if known.code == CocoaError.fileReadNoSuchFile.rawValue { return "no such file" }
            return known.localizedDescription
        }
        switch error {
        case .keyNotFound(let key, let context): return "no \(place(context, key))"
        case .valueNotFound(_, let context): return "no value of \(place(context))"
        case .typeMismatch(_, let context): return "\(place(context)) is of the wrong kind"
        case .dataCorrupted(let context):
            return context.codingPath.isEmpty ? "not JSON" : "\(place(context)) makes no sense"
        @unknown default: return "not understood"
        }
    }

    private static func place(
        _ context: DecodingError.Context,
        _ last: (any CodingKey)? = nil
    ) -> String {
        let keys = context.codingPath + (last.map { [$0] } ?? [])
        return keys.isEmpty ? "the file" : keys.map(\.stringValue).joined(separator: ".")
    }
}

/// As much of a file as tells what it is.
private struct Head: Decodable {
    struct Problem: Error {
        let text: String
    }

    let formatVersion: Int?
    private let isMigration: Bool
    private let isTable: Bool
    private let isSingleRun: Bool

    private enum CodingKeys: String, CodingKey {
        case formatVersion = "format_version"
        case role, rows
        case pagingSeconds = "paging_s"
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        formatVersion = try container.decodeIfPresent(Int.self, forKey: .formatVersion)
        isMigration = container.contains(.role)
        isTable = container.contains(.rows)
        isSingleRun = container.contains(.pagingSeconds)
    }

    func content(_ data: Data) throws -> InputFile.Content {
        if isMigration {
            try expect(MigrationReport.currentFormatVersion)
            return .migration(try JSONDecoder().decode(MigrationReport.self, from: data))
        }
        if isTable {
            try expect(PagingRates.knownFormatVersion)
            return .paging(try JSONDecoder().decode(PagingRates.self, from: data))
        }
        let hint =
            isSingleRun
            ? "is a single run of demand paging: bench demand-paging --table has what is shown"
            : "is no report of a migration and no table of paging rates"
        throw Problem(text: hint)
    }

    private func expect(_ known: Int) throws {
        guard let formatVersion else { throw Problem(text: "has no format_version") }
        guard formatVersion == known else {
            throw Problem(text: "format version \(formatVersion), only \(known) is known")
        }
    }
}
