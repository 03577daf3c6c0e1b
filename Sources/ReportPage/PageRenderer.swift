// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import Mustache

/// Makes one HTML file of a ``Page``, with all in it that it needs.
package struct PageRenderer {
    private let library: MustacheLibrary
    private let charts: ChartLibrary

    /// - Parameter charts: What draws the plots.
    package init(_ charts: ChartLibrary) {
        self.charts = charts
        do {
            library = MustacheLibrary(templates: [
                "page": try Self.template(PackageResources.page_mustache),
                "part": try Self.template(PackageResources.part_mustache),
                "plot": try Self.template(PackageResources.plot_mustache),
                "table": try Self.template(PackageResources.table_mustache),
            ])
        } catch {
            preconditionFailure("a template of the page is broken: \(error)")
        }
    }

    /// The HTML.
    ///
    /// Text of the reports stands between tags, escaped, or in JSON without angle brackets.
    package func render(_ page: Page) -> String {
        let context = Context(
            page: page,
            style: Self.text(PackageResources.style_css),
            charts: charts.script,
            plots: Self.text(PackageResources.plots_js)
        )
        return library.render(context, withTemplate: "page") ?? ""
    }

    /// What the template "page" is given.
    private struct Context {
        let page: Page
        let style: String
        let charts: String
        let plots: String
    }

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    private static func template(_ bytes: [UInt8]) throws -> MustacheTemplate {
        try MustacheTemplate(string: text(bytes))
    }
}

extension Plot: MustacheTransformable {
    /// `json`: the plot for a `script` element, where no angle bracket may end it.
    package func transform(_ name: String) -> Any? {
        guard name == "json" else { return nil }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(self) else { return nil }
        return String(decoding: data, as: UTF8.self)
            .replacing("<", with: "\\u003c")
            .replacing(">", with: "\\u003e")
            .replacing("&", with: "\\u0026")
    }
}
