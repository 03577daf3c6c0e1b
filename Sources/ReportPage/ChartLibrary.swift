// SPDX-License-Identifier: Apache-2.0

internal import Foundation

/// The library that draws the plots: Chart.js, of version 3, as distributions package it.
///
/// It is read when a page is made, and becomes a part of the page.
package struct ChartLibrary: Sendable {
    /// Names a file in place of the usual ones.
    package static let variable = "APUS_CHARTJS"
    /// What it is called by Debian and Ubuntu, and where these have it.
    static let package = "libjs-chart.js"
    static let places = [
        "/usr/share/javascript/chart.js/chart.min.js",
        "/usr/share/javascript/chart.js/Chart.min.js",
    ]

    /// JavaScript that may stand inside a `script` element.
    let script: String

    /// Finds and reads the library.
    ///
    /// - Parameters:
    ///   - path: Where it is; nil for what the variable says, or else the usual places.
    ///   - environment: Of this process.
    /// - Throws: ``ReportPageError/noChartLibrary(_:)`` with the command that mends it.
    package init(
        at path: String?,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(ReportPageError) {
        let named = path ?? environment[Self.variable].flatMap { $0.isEmpty ? nil : $0 }
        let candidates = named.map { [$0] } ?? Self.places
        guard
            let found = candidates.first(where: { FileManager.default.isReadableFile(atPath: $0) })
        else {
            let remedy =
                "apt-get install \(Self.package), or name a chart.min.js of Chart.js 3 with "
                + "--chart-library FILE or \(Self.variable)=FILE"
            throw .noChartLibrary("no chart library at \(candidates[0]): \(remedy)")
        }
        guard let data = FileManager.default.contents(atPath: found),
            let text = String(data: data, encoding: .utf8)
        else { throw .noChartLibrary("\(found) cannot be read as text") }
        guard text.prefix(1000).contains("Chart.js v3.") else {
            throw .noChartLibrary("\(found) is not Chart.js of version 3")
        }
        // Inside a string or a comment, which is where it can be, this is the same.
        script = text.replacing("</script", with: "<\\/script")
    }
}
