// SPDX-License-Identifier: Apache-2.0

import Doctor
import Glibc
import KVM
import LinuxSystem
import Testing
import Userfault

/// Something that ails a host, and what the doctor has to say of it.
struct Ailment: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let check: String
    let status: HostCheck.Status
    /// Parts of what was found.
    let found: [String]
    /// Parts of the remedy; none where the check is ok.
    let remedy: [String]
    let change: @Sendable (inout HostFindings) -> Void

    init(
        _ name: String,
        _ check: String,
        _ status: HostCheck.Status,
        found: [String],
        remedy: [String] = [],
        _ change: @escaping @Sendable (inout HostFindings) -> Void
    ) {
        testDescription = name
        self.check = check
        self.status = status
        self.found = found
        self.remedy = remedy
        self.change = change
    }

    static let all = ofKVM + ofVirtualization + ofExits + ofUserfaultfd + ofFeatures + ofTheRest

    private static let ofKVM = [
        Ailment(
            "no KVM on Intel",
            "kvm",
            .missing,
            found: ["no /dev/kvm"],
            remedy: ["sudo modprobe kvm_intel"]
        ) {
            $0.kvm = .failure(.missing)
            $0.virtualization.processor = .vmx
        },
        Ailment(
            "no KVM on AMD",
            "kvm",
            .missing,
            found: ["no /dev/kvm"],
            remedy: ["sudo modprobe kvm_amd"]
        ) { $0.kvm = .failure(.missing) },
        Ailment(
            "no KVM, no virtualization",
            "kvm",
            .missing,
            found: ["no /dev/kvm"],
            remedy: ["firmware"]
        ) {
            $0.kvm = .failure(.missing)
            $0.virtualization.processor = nil
        },
        Ailment(
            "a /dev/kvm of others",
            "kvm",
            .missing,
            found: ["may not open"],
            remedy: ["setfacl -m u:$USER:rw /dev/kvm", "usermod -aG kvm $USER"]
        ) { $0.kvm = .failure(.forbidden) },
        Ailment(
            "an old interface",
            "kvm",
            .missing,
            found: ["API version 10, not 12"],
            remedy: ["boot a kernel"]
        ) { $0.kvm = .failure(.apiVersion(found: 10)) },
        Ailment(
            "a KVM that fails",
            "kvm",
            .missing,
            found: ["KVM_CREATE_VM", "EBUSY"],
            remedy: ["sudo dmesg"]
        ) { $0.kvm = .failure(.failed(SystemError(code: EBUSY, operation: "KVM_CREATE_VM"))) },
        Ailment("a KVM that works", "kvm", .ok, found: ["API version 12"]) { _ in },
    ]

    private static let ofVirtualization = [
        Ailment("hardware", "virtualization", .ok, found: ["hardware: svm, nested paging"]) { _ in
        },
        Ailment("hardware that does not say more", "virtualization", .ok, found: ["vmx"]) {
            $0.virtualization.processor = .vmx
            $0.virtualization.hasNestedPaging = nil
        },
        Ailment(
            "Intel without nested paging",
            "virtualization",
            .degraded,
            found: ["without nested paging"],
            remedy: ["modprobe -r kvm_intel", "modprobe kvm_intel ept=1"]
        ) {
            $0.virtualization.processor = .vmx
            $0.virtualization.hasNestedPaging = false
        },
        Ailment(
            "AMD without nested paging",
            "virtualization",
            .degraded,
            found: ["without nested paging"],
            remedy: ["modprobe kvm_amd npt=1"]
        ) { $0.virtualization.hasNestedPaging = false },
        Ailment(
            "a guest",
            "virtualization",
            .degraded,
            found: ["svm, nested"],
            remedy: ["the host itself"]
        ) { $0.virtualization.isGuest = true },
        Ailment(
            "emulation",
            "virtualization",
            .degraded,
            found: ["neither vmx nor svm", "emulates (kvm_pvm)"],
            remedy: ["nested virtualization"]
        ) {
            $0.virtualization.processor = nil
            $0.virtualization.modules = ["kvm_pvm"]
        },
        Ailment(
            "nothing to run guests with",
            "virtualization",
            .missing,
            found: ["neither vmx nor svm"],
            remedy: ["firmware"]
        ) {
            $0.kvm = .failure(.missing)
            $0.virtualization.processor = nil
        },
    ]

    private static let ofExits = [
        Ailment("nowait", "fault-exits", .ok, found: ["nowait: because"]) { _ in },
        Ailment(
            "attributes",
            "fault-exits",
            .degraded,
            found: ["attributes:", "development aid", "because"],
            remedy: ["deploy/kernel/build"]
        ) { $0.kvm = .success(FakeHost.survey(.attributes)) },
        Ailment(
            "no exits",
            "fault-exits",
            .degraded,
            found: ["none:", "userfaultfd", "because"],
            remedy: ["deploy/kernel/build"]
        ) { $0.kvm = .success(FakeHost.survey(.userfault)) },
        Ailment(
            "exits without KVM",
            "fault-exits",
            .missing,
            found: ["not known"],
            remedy: ["mend kvm"]
        ) { $0.kvm = .failure(.missing) },
        Ailment("pre-fault", "pre-fault", .ok, found: ["KVM_PRE_FAULT_MEMORY"]) { _ in },
        Ailment(
            "no pre-fault",
            "pre-fault",
            .degraded,
            found: ["no KVM_PRE_FAULT_MEMORY"],
            remedy: ["6.11"]
        ) { $0.kvm = .success(FakeHost.survey(canPrefault: false)) },
        Ailment(
            "pre-fault without KVM",
            "pre-fault",
            .missing,
            found: ["not known"],
            remedy: ["mend kvm"]
        ) { $0.kvm = .failure(.forbidden) },
        Ailment("a dirty ring", "dirty-ring", .ok, found: ["65536 entries"]) { _ in },
        Ailment(
            "no dirty ring",
            "dirty-ring",
            .degraded,
            found: ["dirty log"],
            remedy: ["5.11"]
        ) { $0.kvm = .success(FakeHost.survey(dirtyRingEntries: 0)) },
        Ailment(
            "a dirty ring without KVM",
            "dirty-ring",
            .missing,
            found: ["not known"],
            remedy: ["mend kvm"]
        ) { $0.kvm = .failure(.missing) },
    ]

    private static let ofUserfaultfd = [
        Ailment("the device", "userfaultfd", .ok, found: ["/dev/userfaultfd"]) { _ in },
        Ailment("the system call", "userfaultfd", .ok, found: ["CAP_SYS_PTRACE"]) {
            $0.userfault.route = .systemCall
        },
        Ailment(
            "user mode only, a device of others",
            "userfaultfd",
            .missing,
            found: ["UFFD_USER_MODE_ONLY", "does not see the kernel's own touches"],
            remedy: ["setfacl -m u:$USER:rw /dev/userfaultfd", "chmod 0666 /dev/userfaultfd"]
        ) { $0.userfault.route = .userModeOnly },
        Ailment(
            "user mode only, no device",
            "userfaultfd",
            .missing,
            found: ["UFFD_USER_MODE_ONLY"],
            remedy: ["sudo sysctl vm.unprivileged_userfaultfd=1"]
        ) {
            $0.userfault.route = .userModeOnly
            $0.userfault.hasDevice = false
        },
        Ailment(
            "no permission at all",
            "userfaultfd",
            .missing,
            found: ["not permitted", "EPERM"],
            remedy: ["/dev/userfaultfd"]
        ) { $0.userfault.route = .none(SystemError(code: EPERM, operation: "userfaultfd")) },
        Ailment(
            "a kernel without it",
            "userfaultfd",
            .missing,
            found: ["this kernel has none"],
            remedy: ["CONFIG_USERFAULTFD=y"]
        ) { $0.userfault.route = .none(SystemError(code: ENOSYS, operation: "userfaultfd")) },
    ]

    private static let ofFeatures =
        [
            ("uffd-thread-id", UserfaultSurvey.Features.threadID, HostCheck.Status.missing, "4.14"),
            ("uffd-missing-shmem", .missingShmem, .degraded, "5.14"),
            ("uffd-minor-shmem", .minorShmem, .degraded, "5.14"),
            ("uffd-missing-hugetlbfs", .missingHugetlbfs, .degraded, "CONFIG_HUGETLBFS"),
            ("uffd-minor-hugetlbfs", .minorHugetlbfs, .degraded, "CONFIG_HUGETLBFS"),
        ].flatMap { name, feature, status, remedy in
            [
                Ailment(name, name, .ok, found: []) { _ in },
                Ailment("no \(name)", name, status, found: ["not there"], remedy: [remedy]) {
                    $0.userfault.features.remove(feature)
                },
                Ailment(
                    "\(name) without userfaultfd",
                    name,
                    .missing,
                    found: ["not known"],
                    remedy: ["mend userfaultfd"]
                ) {
                    $0.userfault.route = .none(SystemError(code: EPERM, operation: "userfaultfd"))
                    $0.userfault.features = []
                },
            ]
        }

    private static let ofTheRest = [
        Ailment("a memfd", "memfd", .ok, found: ["rings"]) { _ in },
        Ailment(
            "no memfd allowed",
            "memfd",
            .degraded,
            found: ["EACCES"],
            remedy: ["sudo sysctl vm.memfd_noexec=1"]
        ) { $0.memoryFileError = SystemError(code: EACCES, operation: "memfd_create") },
        Ailment(
            "no memfd in the kernel",
            "memfd",
            .degraded,
            found: ["ENOSYS"],
            remedy: ["CONFIG_MEMFD_CREATE"]
        ) { $0.memoryFileError = SystemError(code: ENOSYS, operation: "memfd_create") },
        Ailment(
            "no room for a memfd",
            "memfd",
            .degraded,
            found: ["EMFILE"],
            remedy: ["ulimit -n"]
        ) { $0.memoryFileError = SystemError(code: EMFILE, operation: "memfd_create") },
        Ailment("huge pages", "huge-pages", .ok, found: ["80 of 2 MiB", "160 MiB"]) { _ in },
        Ailment(
            "no huge pages",
            "huge-pages",
            .degraded,
            found: ["none to spare"],
            remedy: ["sudo sysctl vm.nr_hugepages="]
        ) { $0.availableHugePages = 0 },
        Ailment("thp", "thp", .ok, found: ["enabled madvise, shmem_enabled never"]) { _ in },
        Ailment("thp always", "thp", .ok, found: ["enabled always"]) {
            $0.transparentHugePages = "always"
        },
        Ailment("no thp", "thp", .ok, found: ["makes none"]) { $0.transparentHugePages = nil },
        Ailment(
            "thp of every memfd",
            "thp",
            .degraded,
            found: ["shmem_enabled always"],
            remedy: ["echo advise | sudo tee", "shmem_enabled"]
        ) { $0.sharedTransparentHugePages = "always" },
        Ailment("the TSC", "clock", .ok, found: ["tsc"]) { _ in },
        Ailment("a guest's clock", "clock", .ok, found: ["kvm-clock"]) {
            $0.clockSource = "kvm-clock"
        },
        Ailment(
            "a slow clock beside a fast one",
            "clock",
            .degraded,
            found: ["hpet", "system call"],
            remedy: ["echo tsc | sudo tee", "current_clocksource"]
        ) { $0.clockSource = "hpet" },
        Ailment(
            "a slow clock alone",
            "clock",
            .degraded,
            found: ["acpi_pm"],
            remedy: ["tsc=reliable"]
        ) {
            $0.clockSource = "acpi_pm"
            $0.availableClockSources = ["acpi_pm"]
        },
        Ailment(
            "an unknown clock",
            "clock",
            .degraded,
            found: ["does not say"],
            remedy: ["sysfs"]
        ) { $0.clockSource = nil },
    ]
}
