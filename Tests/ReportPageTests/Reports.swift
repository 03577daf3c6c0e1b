// SPDX-License-Identifier: Apache-2.0

import Foundation
import ReportPage
import Testing

/// Reports of real migrations, kept in the folder `Reports`: one on the exit path nowait over rings,
/// from the testbed, one on userfault over a Unix socket; and a table of paging rates.
enum Reports {
    typealias JSON = [String: Any]

    static let nowait = ["nowait-source", "nowait-destination"]
    static let userfault = ["userfault-source", "userfault-destination"]

    /// What a report has of precopy rounds.
    static var precopy: JSON {
        [
            "tracking": "ring", "pages": 15_000, "discarded_pages": 1384,
            "rounds": [
                [
                    "pages": 16_384, "zero_pages": 500, "wire_bytes": 33_554_432,
                    "duration_us": 400_000, "paused": false,
                ],
                [
                    "pages": 2000, "zero_pages": 0, "wire_bytes": 4_194_304,
                    "duration_us": 50_000, "paused": true,
                ],
            ],
        ]
    }

    /// The top of the checkout.
    static let checkout = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    static func path(_ name: String) -> String {
        URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "Reports/\(name).json").path
    }

    static func data(_ name: String) throws -> Data {
        try Data(contentsOf: URL(filePath: path(name)))
    }

    static func json(_ name: String) throws -> JSON {
        try #require(JSONSerialization.jsonObject(with: data(name)) as? JSON)
    }

    static func file(_ json: JSON, path: String = "changed.json") throws -> InputFile {
        try InputFile(path: path, JSONSerialization.data(withJSONObject: json))
    }

    static func page(_ names: [String]) throws -> Page {
        try Page(names.map { try InputFile(reading: path($0)) })
    }

    /// A report in which something is different.
    static func page(changing name: String, _ change: (inout JSON) throws -> Void) throws -> Page {
        var json = try json(name)
        try change(&json)
        return try Page([file(json)])
    }
}

extension [String: Any] {
    /// An object within.
    subscript(object key: String) -> [String: Any] {
        get { self[key] as? [String: Any] ?? [:] }
        set { self[key] = newValue }
    }

    /// A whole number within.
    func number(_ key: String) throws -> Int {
        try #require(self[key] as? Int, "\(key)")
    }
}

extension PagePart {
    func section(_ title: String) throws -> PageSection {
        try #require(sections.first { $0.title == title }, "\(title)")
    }

    func headline(_ name: String) throws -> Headline {
        try #require(headlines.first { $0.name == name }, "\(name)")
    }

    func plot(_ title: String) throws -> Plot {
        try #require(sections.flatMap(\.plots).first { $0.title == title }, "\(title)")
    }
}

extension Plot {
    func series(_ name: String) throws -> PlotSeries {
        try #require(series.first { $0.name == name }, "\(name)")
    }

    /// The bar of a row, whichever series it is in.
    func bar(_ row: String) throws -> (low: Double, high: Double) {
        let index = try #require(categories.firstIndex(of: row), "\(row)")
        let points = series.filter { $0.style == .bar }.flatMap(\.points)
        let point = try #require(points.first { $0.y == Double(index) })
        return (point.low ?? 0, point.x)
    }
}

extension PageTable {
    func row(_ name: String) throws -> [String] {
        try #require(rows.first { $0.name == name }, "\(name)").cells.map(\.text)
    }
}
