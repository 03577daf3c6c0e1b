// SPDX-License-Identifier: Apache-2.0

import Foundation
import ProcessSupport
import Testing

extension EndToEndTests {
    /// Ends that a person asks for.
    @Suite struct Signals {
        @Test(arguments: [SIGTERM, SIGINT])
        func `a signal ends a source and cleans up`(signal: Int32) throws {
            let bench = try Bench()
            let source = try bench.source(memory: "16M", vCPUs: 2)
            let path = String(try source.address().dropFirst("unix:".count))
            #expect(FileManager.default.fileExists(atPath: path))
            #expect(try source.end(by: signal, within: 10) == .exited(0), "\(source.log)")
            #expect(!FileManager.default.fileExists(atPath: path))
            #expect(source.log.contains("the guest is stopped"))
        }

        @Test(arguments: [SIGTERM, SIGINT])
        func `a signal ends a destination whose guest has arrived`(signal: Int32) throws {
            let bench = try Bench()
            let source = try bench.source(memory: "16M")
            let listen = bench.folder.address()
            let destination = try bench.destination(to: source.address(), ["--listen", listen])
            _ = try destination.address()
            #expect(try source.waitForEnd() == .exited(0))
            #expect(try destination.end(by: signal, within: 10) == .exited(0), "\(destination.log)")
            #expect(
                !FileManager.default.fileExists(atPath: String(listen.dropFirst("unix:".count)))
            )
        }

        @Test func `one signal during postcopy warns, and the migration goes on`() throws {
            let bench = try Bench()
            let source = try bench.source(memory: "256M", vCPUs: 1)
            let destination = try bench.destination(to: source.address(), ["--run-after", "0s"])
            try destination.waitForLog("phase: switchover → postcopy")
            destination.send(SIGTERM)
            source.send(SIGTERM)
            #expect(try destination.waitForEnd() == .exited(0), "\(destination.log)")
            try expectSuccess(from: source, to: destination)
        }
    }
}
