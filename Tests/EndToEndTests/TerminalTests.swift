// SPDX-License-Identifier: Apache-2.0

import Foundation
import ProcessSupport
import Testing

extension EndToEndTests {
    /// What a person who watches sees.
    @Suite struct Terminals {
        private let eraseLine = "\r\u{1B}[K"

        @Test func `on a terminal the progress is one line that overwrites itself`() throws {
            let bench = try Bench()
            let source = try bench.source(memory: "256M")
            let typescript = bench.folder.file("typescript")
            let command = [
                ApusProcess.Program.destination.path, "--connect", try source.address(),
                "--run-after", "0s",
            ].joined(separator: " ")
            // script(1) runs it on a terminal of its own and ends with its exit code.
            let watcher = Process()
            watcher.executableURL = URL(fileURLWithPath: "/usr/bin/script")
            watcher.arguments = ["-qfec", command, typescript]
            watcher.standardInput = FileHandle.nullDevice
            watcher.standardOutput = FileHandle.nullDevice
            try watcher.run()
            defer { if watcher.isRunning { kill(watcher.processIdentifier, SIGKILL) } }
            #expect(waitUntil(within: 60) { !watcher.isRunning })
            #expect(watcher.terminationStatus == 0)
            #expect(try source.waitForEnd() == .exited(0))
            let seen = String(
                decoding: FileManager.default.contents(atPath: typescript) ?? Data(),
                as: UTF8.self
            )
            #expect(seen.contains("phase: switchover → postcopy"))
            #expect(seen.contains("digest: match"))
            let progress = seen.components(separatedBy: eraseLine).dropFirst()
            #expect(progress.count > 1)
            #expect(progress.contains { $0.contains("%") && $0.contains("MiB/s") })
            // No line of a terminal is broken by the progress: what follows begins anew.
            #expect(!seen.contains("leftphase"))
        }

        @Test func `elsewhere the progress is plain lines`() throws {
            let bench = try Bench()
            let source = try bench.source(memory: "256M")
            let destination = try bench.destination(to: source.address(), ["--run-after", "0s"])
            #expect(try destination.waitForEnd() == .exited(0), "\(destination.log)")
            try expectSuccess(from: source, to: destination)
            for process in [source, destination] {
                #expect(!process.log.contains("\u{1B}"))
                #expect(!process.log.contains("\r"))
                #expect(!process.output.contains("\u{1B}"))
                for phase in [
                    "setup → switchover", "switchover → postcopy", "postcopy → completed",
                ] {
                    #expect(process.log.contains("phase: \(phase)\n"))
                }
                #expect(process.log.split(separator: "\n").contains { $0.contains(" MiB/s") })
            }
        }
    }
}
