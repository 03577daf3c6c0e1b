// SPDX-License-Identifier: Apache-2.0

import Doctor
import Foundation
import KVM
import LinuxSystem
import Testing
import Userfault

/// What the doctor says of hosts that do not exist.
struct DiagnosisTests {
    private static let names = [
        "kvm", "virtualization", "fault-exits", "pre-fault", "dirty-ring", "userfaultfd",
        "uffd-thread-id", "uffd-missing-shmem", "uffd-minor-shmem", "uffd-missing-hugetlbfs",
        "uffd-minor-hugetlbfs", "memfd", "huge-pages", "thp", "clock",
    ]

    @Test func `a perfect host lacks nothing`() {
        let diagnosis = Diagnosis(of: FakeHost.perfect)
        #expect(diagnosis.canMigrate)
        #expect(diagnosis.checks.map(\.name) == Self.names)
        #expect(diagnosis.checks.allSatisfy { $0.status == .ok && $0.remedy == nil })
        #expect(diagnosis.text.hasSuffix("\na migration can run here\n"))
        #expect(!diagnosis.text.contains("mend"))
    }

    @Test(arguments: Ailment.all)
    func `an ailment is found, and its remedy named`(ailment: Ailment) throws {
        let diagnosis = Diagnosis(of: FakeHost.with(ailment.change))
        #expect(diagnosis.checks.map(\.name) == Self.names)
        let check = try #require(diagnosis.checks.first { $0.name == ailment.check })
        #expect(check.status == ailment.status, "\(check)")
        for part in ailment.found { #expect(check.found.contains(part), "\(check)") }
        #expect((check.remedy == nil) == (check.status == .ok), "\(check)")
        for part in ailment.remedy { #expect(check.remedy?.contains(part) == true, "\(check)") }
        if ailment.status == .missing { #expect(!diagnosis.canMigrate) }
        let line = "\(check.status)".padding(toLength: 10, withPad: " ", startingAt: 0)
        #expect(diagnosis.text.contains(line + check.name))
    }

    @Test func `the table of ailments knows every status that a check can have`() {
        let known = Dictionary(grouping: Ailment.all, by: \.check)
            .mapValues { Set($0.map(\.status)) }
        #expect(Set(known.keys) == Set(Self.names))
        #expect(known.values.allSatisfy { $0.contains(.ok) && $0.count > 1 })
    }

    @Test func `a host on which all that can be degraded is, can migrate`() {
        let findings = FakeHost.with {
            $0.kvm = .success(
                FakeHost.survey(.userfault, canPrefault: false, dirtyRingEntries: 0)
            )
            $0.virtualization.processor = nil
            $0.userfault.route = .systemCall
            $0.userfault.features = [.threadID]
            $0.memoryFileError = SystemError(code: 38, operation: "memfd_create")
            $0.availableHugePages = 0
            $0.sharedTransparentHugePages = "force"
            $0.clockSource = "hpet"
        }
        let diagnosis = Diagnosis(of: findings)
        #expect(diagnosis.canMigrate, "\(diagnosis.text)")
        #expect(diagnosis.checks.count { $0.status == .degraded } == 12)
        #expect(diagnosis.text.split(separator: "\n").count { $0.contains("  mend: ") } == 12)
    }

    @Test func `what is missing is said last`() {
        let diagnosis = Diagnosis(of: FakeHost.with { $0.kvm = .failure(.forbidden) })
        #expect(!diagnosis.canMigrate)
        #expect(
            diagnosis.text.hasSuffix("\nno migration can run here: mend what is missing\n")
        )
    }

    @Test func `JSON has the fields that are documented, and no others`() throws {
        let findings = FakeHost.with { $0.availableHugePages = 0 }
        let data = try JSONEncoder().encode(Diagnosis(of: findings))
        let object = try #require(
            try JSONSerialization.jsonObject(with: data) as? [String: Any]
        )
        #expect(Set(object.keys) == ["format_version", "can_migrate", "checks"])
        #expect(object["format_version"] as? Int == 1)
        #expect(object["can_migrate"] as? Bool == true)
        let checks = try #require(object["checks"] as? [[String: String]])
        #expect(checks.map { $0["name"] } == Self.names)
        for check in checks {
            let isOK = check["status"] == "ok"
            #expect(["ok", "degraded", "missing"].contains(check["status"]))
            #expect(Set(check.keys) == Set(["name", "status", "found"] + (isOK ? [] : ["remedy"])))
        }
    }
}
