// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import Console
internal import Foundation
internal import ReportPage

/// `apus report`: a page that shows reports.
struct Report: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes one HTML page of the reports of migrations, or of a table of rates.",
        discussion: """
            The page opens in any browser, needs no network, and shows for one migration: the \
            downtime beside the gap seen from outside, the timeline with the downtime cut into its \
            parts, the faults that fill the gap, the guest's progress before, during and after, \
            fault latency with the stages inside, pages and bytes by how they came, blocked vCPUs, \
            CPU time and memory of both sides, and the digest.

            Reports are what apus-source and apus-destination write with --report FILE. Name both \
            sides' of a migration: they are put together by their session_identity. Reports of \
            several migrations are compared, in groups by fault path and lanes, with medians and \
            spread.

            The JSON of bench demand-paging --table … --json FILE becomes the table of rates, and \
            a plot beside the curve that the kernel series published.

            The plots are drawn by Chart.js 3, which becomes a part of the page. Debian and Ubuntu \
            have it as libjs-chart.js; elsewhere name its chart.min.js with --chart-library or \
            APUS_CHARTJS.

            EXAMPLES:
              scripts/demo --reports out
              apus report out/source.json out/destination.json -o migration.html
              apus report run-*/*.json -o comparison.html
              apus bench demand-paging --table 1,2,4,8 --json rates.json
              apus report rates.json -o rates.html
            """
    )

    @Argument(help: ArgumentHelp("Reports, or tables of rates.", valueName: "file"))
    var files: [String]

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "The page; it is replaced. /dev/stdout writes to standard output.",
            valueName: "file"
        )
    )
    var output: String

    @Option(
        help: ArgumentHelp(
            "chart.min.js of Chart.js 3. (default: APUS_CHARTJS, or what Debian installs)",
            valueName: "file"
        )
    )
    var chartLibrary: String?

    func run() throws {
        do throws(ReportPageError) {
            let page = try Page(files.map(InputFile.init(reading:)))
            let renderer = PageRenderer(try ChartLibrary(at: chartLibrary))
            try PageFile.write(renderer.render(page), to: output)
        } catch {
            ConsoleObserver(program: "apus").noted("\(error)")
            if case .noChartLibrary = error { throw WorkbenchStatus.hostUnfit }
            throw ExitCode(ExitStatus.usage.rawValue)
        }
    }
}
