// SPDX-License-Identifier: Apache-2.0

import ProcessSupport
import Telemetry
import Testing

extension EndToEndTests {
    /// What a migration costs in memory.
    @Suite struct Footprint {
        @Test(arguments: ["anonymous", "memfd"])
        func `each side needs at most 64 MiB beyond the guest`(backing: String) throws {
            let bench = try Bench()
            let source = try bench.source(memory: "256M", vCPUs: 2, ["--backing", backing])
            let destination = try bench.destination(
                to: source.address(),
                ["--backing", backing, "--run-after", "0s"]
            )
            #expect(try destination.waitForEnd() == .exited(0), "\(destination.log)")
            let report = try expectSuccess(from: source, to: destination)
            for use in [report.resources, try source.report().resources] {
                #expect(use.residentPeakBytes > 256 << 20)
                #expect(use.residentBeyondGuestBytes <= 64 << 20)
                #expect(try #require(use.metadataBytesPerPage) <= 2)
            }
        }
    }
}
