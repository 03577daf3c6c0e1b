// SPDX-License-Identifier: Apache-2.0

import Foundation
import ReportPage
import TestSupport
import Testing

/// The HTML, as far as it can be judged without a browser; `scripts/browse-page` has one.
@Suite struct RenderingTests: ~Copyable {
    private let folder: TemporaryDirectory
    private let renderer: PageRenderer

    init() throws {
        folder = TemporaryDirectory()
        let library = folder.file("chart.min.js")
        try Data("/*! Chart.js v3.9.1 */ const text = '</script>';".utf8)
            .write(to: URL(filePath: library))
        renderer = PageRenderer(try ChartLibrary(at: library))
    }

    @Test func `all is in one file, and nothing is fetched`() throws {
        let html = renderer.render(try Reports.page(Reports.nowait))
        #expect(html.hasPrefix("<!doctype html>"))
        #expect(html.contains("default-src 'none'"))
        #expect(html.contains("<style>\n/* SPDX"))
        #expect(html.contains("Chart.js v3.9.1"))
        #expect(html.components(separatedBy: "<canvas").count - 1 == 9)
        for attribute in ["src=", "@import", "url("] {
            let own = html.replacing("script-src", with: "").replacing("img-src", with: "")
            #expect(!own.contains(attribute), "\(attribute)")
        }
        // The library cannot end its element; all that were opened are closed.
        #expect(html.contains("'<\\/script>'"))
        for element in ["script", "section", "figure", "table", "article", "dl"] {
            let opened = html.components(separatedBy: "<\(element)").count
            #expect(opened == html.components(separatedBy: "</\(element)>").count, "\(element)")
        }
        #expect(!html.contains("{{"))
    }

    @Test func `texts of a report stay texts`() throws {
        let hostile = #"</script></style><img src=x onerror="alert(1)">&amp;'{{title}}"#
        let page = try Reports.page(changing: "nowait-destination") { report in
            report["error"] = hostile
            report["outcome"] = "failed"
            report["transport"] = hostile
            report["fault_path"] = hostile
            report["session_identity"] = hostile
            report[object: "machine"]["guest"] = hostile
            report[object: "machine"]["backing"] = hostile
            report[object: "digest"]["source"] = hostile
        }
        let html = renderer.render(page)
        #expect(!html.contains("<img"))
        #expect(html.contains("&lt;img src=x"))
        #expect(html.contains("&amp;amp;"))
        // As text, not looked up.
        #expect(html.contains("{{title}}"))
    }

    @Test func `texts of a table of rates, and names of runs, stay texts`() throws {
        var rates = try Reports.json("rates")
        rates["kernel"] = "<img src=x>"
        var rows = try #require(rates["rows"] as? [Reports.JSON])
        let contestant = ["program": "</script><b>", "path": "<img src=x>"]
        rows[0]["series"] = [["contestant": contestant, "pages_per_s": [1.0]] as Reports.JSON]
        rates["rows"] = rows
        let html = renderer.render(try Page([Reports.file(rates)]))
        #expect(!html.contains("<img"))
        #expect(!html.contains("</script><b>"))
        var other = try Reports.json("nowait-destination")
        other["fault_path"] = "</script><b>"
        other["session_identity"] = nil
        let file = try Reports.file(other)
        let compared = renderer.render(try Page([file, file]))
        #expect(!compared.contains("</script><b>"))
        #expect(compared.components(separatedBy: "<details").count - 1 == 2)
    }

    @Test func `plots are JSON that reads back as the model`() throws {
        let page = try Reports.page(Reports.userfault)
        let html = renderer.render(page)
        let pieces = html.components(separatedBy: #"<script type="application/json">"#).dropFirst()
        let plots = try pieces.map { piece in
            let json = try #require(piece.components(separatedBy: "</script>").first)
            return try JSONDecoder().decode(Plot.self, from: Data(json.utf8))
        }
        #expect(plots == page.parts.flatMap(\.sections).flatMap(\.plots))
        let coded = try JSONDecoder().decode(Page.self, from: JSONEncoder().encode(page))
        #expect(coded == page)
    }

    @Test func `a bar is one for each row of a series`() throws {
        for plot in try (Reports.nowait + Reports.userfault).flatMap({
            try Reports.page([$0]).parts[0].sections.flatMap(\.plots)
        }) {
            for series in plot.series where series.style == .bar {
                let places = series.points.map { plot.shape == .rows ? $0.y : $0.x }
                #expect(Set(places).count == places.count, "\(plot.title), \(series.name)")
                #expect(places.allSatisfy { plot.categories.indices.contains(Int($0)) })
            }
            #expect(!plot.sentence.isEmpty)
            if plot.x.scale != .category { #expect(!plot.x.title.isEmpty) }
        }
    }
}
