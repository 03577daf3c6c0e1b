// SPDX-License-Identifier: Apache-2.0

import Doctor
import KVM
import LinuxSystem
import TestSupport
import Testing
import Userfault

/// What is found on the host that runs the tests, against what others find.
@Suite(.timeLimit(.minutes(1)))
struct ProbeTests {
    private let findings = HostFindings()

    @Test func `KVM is found as those find it who use it`() {
        switch findings.kvm {
        case .success(let survey):
            #expect(HostFacts.missingKVM == nil)
            if HostFacts.missingUserfaultfd == nil {
                #expect(survey.faultPath == HostFacts.exitPaths.first ?? .userfault)
            }
            #expect(!survey.faultPathReason.isEmpty)
        case .failure(let reason):
            #expect(HostFacts.missingKVM?.contains("\(reason)") == true)
        }
    }

    @Test func `userfaultfd is found as those find it who use it`() {
        let survey = findings.userfault
        switch survey.route {
        case .device, .systemCall:
            #expect(survey.features.contains(.threadID))
            let hasMinor = survey.features.isSuperset(of: [.missingShmem, .minorShmem])
            #expect(hasMinor == (HostFacts.missingUserfaultfd == nil))
        case .userModeOnly, .none:
            #expect(HostFacts.missingUserfaultfd != nil)
        }
    }

    @Test func `without the device the system call is asked`() {
        let survey = UserfaultSurvey(devicePath: "/nowhere")
        #expect(!survey.hasDevice)
        #expect(survey.route != .device)
    }

    @Test(arguments: ["/nowhere", "/dev/null"])
    func `a device that is no KVM is told`(path: String) {
        #expect(throws: KVMUnavailable.self) { try KVMSurvey(devicePath: path) }
    }

    @Test func `settings are words that the kernel has`() {
        if let choice = findings.transparentHugePages {
            #expect(["always", "madvise", "never"].contains(choice))
        }
        if let clock = findings.clockSource {
            #expect(findings.availableClockSources.contains(clock))
        }
        #expect(findings.memoryFileError == nil)
        #expect(Host.processorFlags.contains("lm"), "x86-64 has long mode")
        let modules = findings.virtualization.modules
        #expect(findings.virtualization.processor == nil || !modules.contains("kvm_pvm"))
    }

    @Test(arguments: [
        ("always [madvise] never", "madvise"), ("[never]", "never"), ("always never", nil),
        ("", nil), ("a [b", nil),
    ])
    func `the chosen word is the one in brackets`(line: String, choice: String?) {
        #expect(Host.chosenWord(in: line) == choice)
    }
}
