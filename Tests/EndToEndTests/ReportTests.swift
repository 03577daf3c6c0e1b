// SPDX-License-Identifier: Apache-2.0

import Glibc
import ProcessSupport
import Testing

extension EndToEndTests {
    /// What both sides write, held against the committed schema.
    @Suite(.enabled(if: SchemaValidator.runs, "needs python3-jsonschema"))
    struct Reports {
        @Test(arguments: ["ring", "socket"])
        func `both sides' reports of a migration are valid`(transport: String) throws {
            let bench = try Bench()
            let source = try bench.source()
            let destination = try bench.destination(
                to: source.address(),
                ["--transport", transport, "--run-after", "200ms"]
            )
            #expect(try destination.waitForEnd() == .exited(0), "\(destination.log)")
            try expectSuccess(from: source, to: destination)
            let paths = [source.reportPath, destination.reportPath]
            let (code, text) = SchemaValidator.validate(paths)
            #expect(code == 0, "\(text)")
        }

        @Test func `the report of a migration that lost its guest is valid`() throws {
            let bench = try Bench()
            let source = try bench.source(memory: "512M", vCPUs: 2)
            let destination = try bench.destination(to: source.address())
            try destination.waitForLog("phase: switchover → postcopy")
            try source.end(by: SIGKILL)
            #expect(try destination.waitForEnd() == .exited(11), "\(destination.log)")
            let (code, text) = SchemaValidator.validate([destination.reportPath])
            #expect(code == 0, "\(text)")
        }
    }
}
