// SPDX-License-Identifier: Apache-2.0

import Foundation
import ReportPage
import TestSupport
import Testing

/// Where the chart library is looked for.
@Suite struct ChartLibraryTests: ~Copyable {
    private let folder: TemporaryDirectory

    init() { folder = TemporaryDirectory() }

    private func file(_ text: String) throws -> String {
        let path = folder.file("\(UUID().uuidString).js")
        try Data(text.utf8).write(to: URL(filePath: path))
        return path
    }

    @Test func `the flag wins over the variable`() throws {
        let good = try file("/*! Chart.js v3.9.1 */")
        _ = try ChartLibrary(at: good, environment: [ChartLibrary.variable: "/no/such.js"])
        _ = try ChartLibrary(at: nil, environment: [ChartLibrary.variable: good])
    }

    @Test func `without it the message has the command`() throws {
        let error = #expect(throws: ReportPageError.self) {
            _ = try ChartLibrary(at: "/no/such.js", environment: [:])
        }
        let line = try #require(error).description
        for words in ["/no/such.js", "apt-get install libjs-chart.js", "--chart-library"] {
            #expect(line.contains(words), "\(line)")
        }
    }

    @Test func `another version is refused`() throws {
        let other = try file("/*! Chart.js v4.4.0 */")
        let error = #expect(throws: ReportPageError.self) {
            _ = try ChartLibrary(at: other, environment: [:])
        }
        #expect(try #require(error).description.contains("version 3"))
    }
}
