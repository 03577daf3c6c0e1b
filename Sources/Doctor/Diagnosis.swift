// SPDX-License-Identifier: Apache-2.0

/// What a host can do for a migration, and what would mend it.
///
/// Follows from the findings alone. As JSON it is one object: `format_version`, `can_migrate` and
/// `checks`, each with `name`, `status` (`ok`, `degraded`, `missing`), `found` and, unless it is
/// ok, `remedy`.
package struct Diagnosis: Encodable, Equatable, Sendable {
    /// The format that this code writes; checks may be added within it.
    package static let currentFormatVersion = 1

    /// The format of this diagnosis.
    package let formatVersion = Diagnosis.currentFormatVersion
    /// Whether a migration can run here, in both roles: nothing is missing.
    package let canMigrate: Bool
    /// All checks, always the same ones in the same order.
    package let checks: [HostCheck]

    /// Judges a host.
    package init(of findings: HostFindings) {
        checks =
            findings.kvmChecks + findings.userfaultChecks + findings.memoryChecks
            + [findings.clockCheck]
        canMigrate = !checks.contains { $0.status == .missing }
    }

    /// A line for each check and one for its remedy, and the verdict last.
    package var text: String {
        let width = checks.map(\.name.count).max() ?? 0
        let lines = checks.flatMap { check in
            let name = check.name.padded(to: width + 2)
            let line = check.status.rawValue.padded(to: 10) + name + check.found
            return [line] + (check.remedy.map { ["          mend: " + $0] } ?? [])
        }
        return (lines + [verdict, ""]).joined(separator: "\n")
    }

    private var verdict: String {
        canMigrate ? "a migration can run here" : "no migration can run here: mend what is missing"
    }

    private enum CodingKeys: String, CodingKey {
        case formatVersion = "format_version"
        case canMigrate = "can_migrate"
        case checks
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}
