// SPDX-License-Identifier: Apache-2.0

import Doctor
import KVM
import LinuxSystem
import Userfault

/// Hosts that do not exist.
enum FakeHost {
    /// One that lacks nothing.
    static var perfect: HostFindings {
        HostFindings(
            kvm: .success(survey()),
            virtualization: VirtualizationSupport(
                processor: .svm,
                isGuest: false,
                hasNestedPaging: true,
                modules: ["kvm_amd"]
            ),
            userfault: UserfaultSurvey(
                route: .device,
                hasDevice: true,
                features: [
                    .threadID, .missingShmem, .minorShmem, .missingHugetlbfs, .minorHugetlbfs,
                ]
            ),
            memoryFileError: nil,
            availableHugePages: 80,
            transparentHugePages: "madvise",
            sharedTransparentHugePages: "never",
            clockSource: "tsc",
            availableClockSources: ["tsc", "hpet"]
        )
    }

    static func survey(
        _ path: FaultPath = .nowait,
        canPrefault: Bool = true,
        dirtyRingEntries: Int = 65_536
    ) -> KVMSurvey {
        KVMSurvey(
            faultPath: path,
            faultPathReason: "because it is \(path.rawValue)",
            canPrefault: canPrefault,
            dirtyRingEntries: dirtyRingEntries
        )
    }

    /// The perfect host, changed.
    static func with(_ change: (inout HostFindings) -> Void) -> HostFindings {
        var findings = perfect
        change(&findings)
        return findings
    }
}
