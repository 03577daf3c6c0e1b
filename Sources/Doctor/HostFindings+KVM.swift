// SPDX-License-Identifier: Apache-2.0

internal import KVM
internal import LinuxSystem

extension HostFindings {
    /// KVM, what it runs guests with, and what a fault costs with it.
    var kvmChecks: [HostCheck] {
        [kvmCheck, virtualizationCheck, faultExitCheck, prefaultCheck, dirtyRingCheck]
    }

    private var kvmCheck: HostCheck {
        let name = "kvm"
        switch kvm {
        case .success:
            return .ok(name, "/dev/kvm, API version \(KVMSystem.apiVersion)")
        case .failure(.missing):
            return .missing(name, "there is no /dev/kvm", mend: loadKVM)
        case .failure(.forbidden):
            return .missing(
                name,
                "this user may not open /dev/kvm",
                mend: "sudo setfacl -m u:$USER:rw /dev/kvm  "
                    + "# until the next boot; for good: sudo usermod -aG kvm $USER"
            )
        case .failure(.apiVersion(let found)):
            return .missing(
                name,
                "/dev/kvm has API version \(found), not \(KVMSystem.apiVersion)",
                mend: "boot a kernel from 2.6.22 on"
            )
        case .failure(.failed(let error)):
            return .missing(
                name,
                "/dev/kvm does not work: \(error)",
                mend: "sudo dmesg | grep -i kvm  # says why; another hypervisor may hold the "
                    + "processor: end it"
            )
        }
    }

    private var loadKVM: String {
        guard let processor = virtualization.processor else { return Self.enableInFirmware }
        return "sudo modprobe \(processor.module)"
    }

    private static let enableInFirmware =
        "enable virtualization in the firmware, or nested virtualization in the hypervisor above"

    private var virtualizationCheck: HostCheck {
        let name = "virtualization"
        guard let processor = virtualization.processor else {
            if case .failure(.missing) = kvm {
                return .missing(
                    name,
                    "the processor offers neither vmx nor svm",
                    mend: Self.enableInFirmware
                )
            }
            let modules = virtualization.modules.joined(separator: ", ")
            return .degraded(
                name,
                "none: the processor offers neither vmx nor svm, KVM emulates "
                    + (modules.isEmpty ? "" : "(\(modules)); ")
                    + "guests are slow, and no touch of memory is an exit",
                mend: Self.enableInFirmware
            )
        }
        if virtualization.hasNestedPaging == false {
            let module = processor.module
            return .degraded(
                name,
                "\(processor.rawValue) without nested paging: page faults are slow, and private "
                    + "memory cannot be had",
                mend: "sudo modprobe -r \(module) && "
                    + "sudo modprobe \(module) \(processor.nestedPagingParameter)=1"
            )
        }
        if virtualization.isGuest {
            return .degraded(
                name,
                "\(processor.rawValue), nested: this host is a guest itself, so that exits and "
                    + "page faults cost several times as much",
                mend: "use the host itself, not a guest on it, where numbers matter"
            )
        }
        let paging = virtualization.hasNestedPaging == true ? ", nested paging" : ""
        return .ok(name, "hardware: \(processor.rawValue)\(paging)")
    }

    private var faultExitCheck: HostCheck {
        let name = "fault-exits"
        switch kvm {
        case .failure: return Self.unasked(name)
        case .success(let survey):
            let kernel = "deploy/kernel/build  # then boot that kernel: Documentation/KERNEL.md"
            switch survey.faultPath {
            case .nowait: return .ok(name, "nowait: \(survey.faultPathReason)")
            case .attributes:
                return .degraded(
                    name,
                    "attributes: a development aid of KVM, one more call an install; "
                        + survey.faultPathReason,
                    mend: kernel
                )
            case .userfault:
                return .degraded(
                    name,
                    "none: faults go by userfaultfd; \(survey.faultPathReason)",
                    mend: kernel
                )
            }
        }
    }

    private var prefaultCheck: HostCheck {
        let name = "pre-fault"
        guard case .success(let survey) = kvm else { return Self.unasked(name) }
        if survey.canPrefault { return .ok(name, "KVM_PRE_FAULT_MEMORY") }
        return .degraded(
            name,
            "no KVM_PRE_FAULT_MEMORY: a vCPU with memory-fault exits takes two for each page",
            mend: "boot a kernel from 6.11 on, with nested paging"
        )
    }

    private var dirtyRingCheck: HostCheck {
        let name = "dirty-ring"
        guard case .success(let survey) = kvm else { return Self.unasked(name) }
        if survey.dirtyRingEntries > 0 {
            return .ok(name, "up to \(survey.dirtyRingEntries) entries a vCPU")
        }
        return .degraded(
            name,
            "none, only KVM's dirty log, which is scanned whole; a postcopy needs neither",
            mend: "boot a kernel from 5.11 on, on a processor with vmx or svm"
        )
    }

    /// A check that has no answer without KVM; what mends that stands with KVM.
    private static func unasked(_ name: String) -> HostCheck {
        .missing(name, "not known without KVM", mend: "mend kvm first")
    }
}
