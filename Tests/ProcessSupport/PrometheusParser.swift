// SPDX-License-Identifier: Apache-2.0

internal import Foundation

/// Somebody else's parser of Prometheus' text format: Debian's python3-prometheus-client.
package enum PrometheusParser {
    /// One sample.
    package struct Sample: Decodable, Sendable {
        package let name: String
        package let labels: [String: String]
        package let value: String

        /// The value as a number.
        package var number: Double { Double(value) ?? .nan }
    }

    /// A family; the names of counters are without `_total`.
    package struct Family: Decodable, Sendable {
        package let name: String
        package let type: String
        package let help: String
        package let samples: [Sample]
    }

    /// Why it cannot be used here; nil when it can.
    package static let missing: String? =
        run(["-c", "import prometheus_client.parser"], "").code == 0
        ? nil : "no python3-prometheus-client: scripts/setup installs it"

    /// Whether tests that need it run; with `APUS_REQUIRE_PROMETHEUS=1` they must.
    package static let runsTests =
        missing == nil || ProcessInfo.processInfo.environment["APUS_REQUIRE_PROMETHEUS"] == "1"

    /// Parses a text, and fails on what the parser forgives: families or samples that come twice,
    /// and families without help or type.
    package static func parse(_ text: String) throws -> [Family] {
        let script = """
            import json, sys
            from prometheus_client.parser import text_string_to_metric_families
            families, names, series = [], set(), set()
            for family in text_string_to_metric_families(sys.stdin.read()):
                assert family.name not in names, "family twice: " + family.name
                assert family.documentation, "no help: " + family.name
                assert family.type != "unknown", "no type: " + family.name
                names.add(family.name)
                samples = []
                for sample in family.samples:
                    key = (sample.name, tuple(sorted(sample.labels.items())))
                    assert key not in series, "sample twice: " + str(key)
                    series.add(key)
                    samples.append({"name": sample.name, "labels": sample.labels,
                                    "value": repr(float(sample.value))})
                assert samples, "no samples: " + family.name
                families.append({"name": family.name, "type": family.type,
                                 "help": family.documentation, "samples": samples})
            print(json.dumps(families))
            """
        let (code, output) = run(["-c", script], text)
        guard code == 0 else { throw ProcessFailure("\(output)\n\(text)") }
        return try JSONDecoder().decode([Family].self, from: Data(output.utf8))
    }

    /// Another Python in PATH would not know Debian's packages.
    private static let debianPython = "/usr/bin/python3"

    private static func run(_ arguments: [String], _ input: String) -> (code: Int32, text: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["timeout", "60", debianPython] + arguments
        let (inward, outward) = (Pipe(), Pipe())
        process.standardInput = inward
        process.standardOutput = outward
        process.standardError = outward
        guard (try? process.run()) != nil else { return (-1, "python3 cannot be started") }
        try? outward.fileHandleForWriting.close()
        // Less than a pipe holds, so that nobody waits for anybody.
        try? inward.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        try? inward.fileHandleForWriting.close()
        let data = (try? outward.fileHandleForReading.readToEnd()) ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }
}
