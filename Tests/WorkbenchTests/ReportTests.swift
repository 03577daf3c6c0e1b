// SPDX-License-Identifier: Apache-2.0

import Foundation
import ProcessSupport
import TestSupport
import Testing

/// `apus report` as a process.
@Suite(.timeLimit(.minutes(2)))
struct ReportTests: ~Copyable {
    private let folder = TemporaryDirectory()

    private static func sample(_ name: String) -> String {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "ReportPageTests/Reports/\(name).json").path
    }

    private static let migration = ["nowait-source", "nowait-destination"].map(sample)

    private static let hasChartLibrary =
        HostFacts.requiresChartLibrary
        || FileManager.default.fileExists(
            atPath: "/usr/share/javascript/chart.js/chart.min.js"
        )

    /// A command line that makes no sense, and what is said of it.
    struct Wrong {
        let files: [String]
        var flags = ["-o", "/dev/null"]
        let cause: String
    }

    @Test func `help teaches what the page shows, files, library and examples`() {
        let (code, text) = Workbench.report(["--help"])
        #expect(code == 0)
        for words in [
            "gap seen from outside", "session_identity", "--table", "libjs-chart.js",
            "--chart-library", "APUS_CHARTJS", "EXAMPLES:", "--output",
        ] {
            #expect(text.contains(words), "\(words)")
        }
    }

    @Test(
        .enabled(if: hasChartLibrary, "needs libjs-chart.js"),
        arguments: [migration, [sample("userfault-source")], [sample("rates")]]
    )
    func `a page is written, by a program alone in its folder`(files: [String]) throws {
        // The templates are in the program: nothing beside it is needed.
        let program = folder.file("apus")
        try FileManager.default.copyItem(
            atPath: Command.pathOfProduct("apus"),
            toPath: program
        )
        let page = folder.file("page.html")
        try Data("old".utf8).write(to: URL(filePath: page))
        let (code, text) = Command.run(
            ["env", "-C", "/", program, "report"] + files + ["-o", page]
        )
        #expect(code == 0, "\(text)")
        #expect(text == "")
        let html = try String(contentsOfFile: page, encoding: .utf8)
        #expect(html.hasPrefix("<!doctype html>"))
        #expect(html.hasSuffix("</html>\n"))
        #expect(html.contains("Chart.js v3."))
        let mode = try FileManager.default.attributesOfItem(atPath: page)[.posixPermissions]
        #expect((mode as? Int ?? 0) & 0o444 == 0o444)
    }

    @Test(.enabled(if: hasChartLibrary, "needs libjs-chart.js"))
    func `standard output takes a page too`() {
        let (code, text) = Workbench.report([Self.sample("rates"), "-o", "/dev/stdout"])
        #expect(code == 0)
        #expect(text.hasPrefix("<!doctype html>"))
    }

    @Test(
        .enabled(if: hasChartLibrary, "needs libjs-chart.js"),
        arguments: [
            Wrong(files: [], flags: [], cause: "Missing expected argument"),
            Wrong(files: migration, flags: [], cause: "--output"),
            Wrong(files: ["/no/such.json"], cause: "/no/such.json: cannot be read: no such file"),
            Wrong(files: ["/etc/hostname"], cause: "/etc/hostname: is no report"),
            Wrong(files: migration + [sample("rates")], cause: "do not go on one page"),
            Wrong(files: migration + [migration[0]], cause: "the same side"),
            Wrong(
                files: migration,
                flags: ["-o", "/no/such/page.html"],
                cause: "/no/such/page.html: cannot be written"
            ),
            Wrong(files: migration, flags: ["-o", "/tmp"], cause: "/tmp: cannot be written"),
        ]
    )
    func `what cannot be done is bad usage, in one line`(wrong: Wrong) {
        let (code, text) = Workbench.report(wrong.files + wrong.flags)
        let cause = wrong.cause
        #expect(code == 64, "\(text)")
        #expect(text.contains(cause), "\(text)")
        if text.hasPrefix("apus:") {
            #expect(text.split(separator: "\n").count == 1, "\(text)")
        }
    }

    @Test func `without the chart library the host is unfit, and the remedy is named`() {
        let (code, text) = Workbench.report(
            Self.migration + ["-o", "/dev/null", "--chart-library", "/no/such.js"]
        )
        #expect(code == 69, "\(text)")
        #expect(text.contains("apt-get install libjs-chart.js"))
        #expect(text.split(separator: "\n").count == 1, "\(text)")
    }

    @Test(
        .enabled(
            if: hasChartLibrary && HostFacts.runsMigrationTests,
            "needs libjs-chart.js, KVM and userfaultfd"
        )
    )
    func `a table as demand-paging writes it today is shown`() throws {
        let rates = folder.file("rates.json")
        let (code, text) = Workbench.page(
            ["--table", "1,2", "--rounds", "2", "-b", "64K", "--json", rates]
        )
        #expect(code == 0, "\(text)")
        let page = folder.file("rates.html")
        let made = Workbench.report([rates, "-o", page])
        #expect(made.code == 0, "\(made.text)")
        let html = try String(contentsOfFile: page, encoding: .utf8)
        #expect(html.contains("Paging rate of all vCPUs together"))
    }
}
