// SPDX-License-Identifier: Apache-2.0

import Foundation
import ProcessSupport
import TestSupport
import Testing

/// `apus doctor` as a process, on the host that runs the tests.
@Suite(.timeLimit(.minutes(2)))
struct DoctorCommandTests {
    private struct Answer: Decodable {
        struct Check: Decodable {
            let name: String
            let status: String
            let found: String
            let remedy: String?
        }

        let format_version: Int
        let can_migrate: Bool
        let checks: [Check]
    }

    private static func doctor(_ flags: [String]) -> (code: Int32, text: String) {
        Command.run([Command.pathOfProduct("apus"), "doctor"] + flags)
    }

    @Test func `the exit code says whether a migration can run here`() throws {
        let (code, text) = Self.doctor(["--json"])
        let answer = try JSONDecoder().decode(Answer.self, from: Data(text.utf8))
        #expect(answer.format_version == 1)
        #expect(code == (answer.can_migrate ? 0 : 69))
        #expect(answer.checks.contains { $0.status == "missing" } != answer.can_migrate)
        #expect(answer.checks.allSatisfy { ($0.remedy == nil) == ($0.status == "ok") })
        if HostFacts.runsMigrationTests { #expect(code == 0, "\(text)") }
    }

    @Test func `lines for a person say the same, and the verdict last`() throws {
        let (_, json) = Self.doctor(["--json"])
        let answer = try JSONDecoder().decode(Answer.self, from: Data(json.utf8))
        let (_, text) = Self.doctor([])
        // Others may take huge pages between the two.
        for check in answer.checks where check.name != "huge-pages" {
            #expect(text.contains("\n\(check.status) ") || text.hasPrefix(check.status))
            #expect(text.contains(" \(check.found)\n"), "\(check)")
            if let remedy = check.remedy { #expect(text.contains("mend: \(remedy)\n")) }
        }
        let verdict = answer.can_migrate ? "a migration can run here" : "no migration can run here"
        #expect(text.split(separator: "\n").last?.hasPrefix(verdict) == true, "\(text)")
    }

    @Test(.enabled(if: Command.run(["unshare", "-m", "true"]).code == 0, "needs root"))
    func `whoever is permitted nothing is told what would permit it`() {
        let (code, text) = Command.run(
            [
                "unshare", "-m", "sh", "-c", "mount -t tmpfs none /dev && exec \"$@\"", "sh",
                "setpriv", "--inh-caps=-all", "--bounding-set=-all",
                Command.pathOfProduct("apus"), "doctor",
            ]
        )
        #expect(code == 69, "\(text)")
        #expect(text.contains("missing   kvm"), "\(text)")
        #expect(text.contains("no migration can run here"), "\(text)")
    }

    @Test func `JSON goes into a file, too`() throws {
        let folder = try ScratchFolder()
        let path = folder.file("doctor.json")
        let (_, text) = Self.doctor(["--json", path])
        #expect(text.contains("kvm"))
        let data = try #require(FileManager.default.contents(atPath: path))
        #expect(try JSONDecoder().decode(Answer.self, from: data).format_version == 1)
    }

    @Test func `help teaches checks, statuses, JSON and exit codes`() {
        let (code, text) = Self.doctor(["--help"])
        #expect(code == 0)
        for words in [
            "CHECKS:", "ok, degraded", "missing", "userfaultfd", "JSON:", "remedy", "EXAMPLES:",
            "EXIT CODES:", "69",
        ] {
            #expect(text.contains(words), "\(words)")
        }
    }

    @Test func `wrong flags are refused`() {
        #expect(Self.doctor(["--jason"]).code == 64)
        #expect(Self.doctor(["stray"]).code == 64)
    }
}
