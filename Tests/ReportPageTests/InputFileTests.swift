// SPDX-License-Identifier: Apache-2.0

import Foundation
import ReportPage
import Testing

/// Files that cannot be shown are refused in one line.
@Suite struct InputFileTests {
    @Test(arguments: [
        ("", "is no report: not JSON"),
        ("<html>", "is no report: not JSON"),
        ("[]", "is no report: the file is of the wrong kind"),
        ("{}", "is no report of a migration and no table of paging rates"),
        (#"{"role": "source"}"#, "has no format_version"),
        (#"{"role": "source", "format_version": 1}"#, "format version 1, only 2 is known"),
        (#"{"role": "source", "format_version": "2"}"#, "format_version is of the wrong kind"),
        (#"{"role": "source", "format_version": 2}"#, "is no report: no machine"),
        (#"{"rows": [], "format_version": 7}"#, "format version 7, only 1 is known"),
        (#"{"rows": [], "format_version": 1}"#, "is no report: no kernel"),
        (#"{"paging_s": 1.5}"#, "--table has what is shown"),
    ])
    func `what is no report is told apart`(text: String, reason: String) throws {
        let error = #expect(throws: ReportPageError.self) {
            _ = try InputFile(path: "some.json", Data(text.utf8))
        }
        let line = try #require(error).description
        #expect(line.hasPrefix("some.json: "))
        #expect(line.contains(reason), "\(line)")
        #expect(!line.contains("\n"))
    }

    @Test func `a file that is not there, and a folder, are named`() throws {
        for (path, reason) in [("/no/such.json", "no such file"), ("/tmp", "cannot be read")] {
            let error = #expect(throws: ReportPageError.self) {
                _ = try InputFile(reading: path)
            }
            let line = try #require(error).description
            #expect(line.hasPrefix("\(path): "))
            #expect(line.contains(reason), "\(line)")
            #expect(!line.contains("\n"))
        }
    }

    @Test func `a value of the wrong kind is named by its place`() throws {
        var report = try Reports.json("nowait-destination")
        report[object: "timeline"]["pause_ns"] = "soon"
        let json = report
        let error = #expect(throws: ReportPageError.self) { _ = try Reports.file(json) }
        #expect(
            error?.description
                == "changed.json: is no report: timeline.pause_ns is of the wrong kind"
        )
    }
}
