// SPDX-License-Identifier: Apache-2.0

internal import Telemetry

/// All that the page shows: values, no HTML, of which ``PageRenderer`` makes a file.
package struct Page: Codable, Equatable, Sendable {
    /// Of the window.
    package var title: String
    /// From top to bottom.
    package var parts: [PagePart]

    /// Decides what to show of some files.
    ///
    /// One migration is shown whole; several are compared, each with a part of its own that a
    /// reader opens. Tables of paging rates stand one below the other.
    ///
    /// - Parameter files: In the order in which they were named.
    /// - Throws: ``ReportPageError`` when they do not go together.
    package init(_ files: [InputFile]) throws(ReportPageError) {
        guard let first = files.first else { throw .nothing }
        var reports: [(path: String, report: MigrationReport)] = []
        var tables: [PagePart] = []
        for file in files {
            switch file.content {
            case .migration(let report): reports.append((file.path, report))
            case .paging(let rates): tables.append(PagingPart.make(rates))
            }
            guard reports.isEmpty || tables.isEmpty else {
                throw .mixed(first.path, file.path)
            }
        }
        if reports.isEmpty {
            self.init(title: "Demand paging rates", parts: tables)
        } else {
            self.init(try Migration.pairs(of: reports))
        }
    }

    /// Shows migrations, at least one.
    init(_ migrations: [Migration]) {
        let parts = migrations.map { MigrationPart.make($0) }
        guard parts.count > 1 else {
            self.init(title: parts[0].title, parts: parts)
            return
        }
        let comparison = Comparison(migrations)
        let runs = zip(comparison.runs, parts).map { run, part in
            var part = part
            part.title = run.name
            part.isCollapsed = true
            return part
        }
        self.init(title: comparison.title, parts: [comparison.part] + runs)
    }

    private init(title: String, parts: [PagePart]) {
        self.title = title
        self.parts = parts
    }
}
