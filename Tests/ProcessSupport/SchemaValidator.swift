// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import TestSupport

/// `scripts/validate-report`, which holds reports against the committed schema.
package enum SchemaValidator {
    /// Whether tests that need it run; with `APUS_REQUIRE_JSONSCHEMA=1` they must.
    package static let runs: Bool =
        HostFacts.requiresJSONSchema
        || Command.run(["python3", "-c", "import jsonschema"]).code == 0

    /// Validates report files.
    ///
    /// - Returns: Its exit code, and what it wrote.
    package static func validate(_ paths: [String]) -> (code: Int32, text: String) {
        let checkout = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        return Command.run([checkout.appending(path: "scripts/validate-report").path] + paths)
    }
}
