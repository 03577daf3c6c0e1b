// SPDX-License-Identifier: Apache-2.0

internal import LinuxSystem

/// What a KVM on this host's processor runs guests with.
package struct VirtualizationSupport: Equatable, Sendable {
    /// What a processor has for it, as /proc/cpuinfo names it.
    package enum Extension: String, CaseIterable, Sendable {
        /// Intel's.
        case vmx
        /// AMD's.
        case svm

        /// The part of the kernel that drives it.
        package var module: String {
            switch self {
            case .vmx: "kvm_intel"
            case .svm: "kvm_amd"
            }
        }

        /// That part's parameter for nested paging.
        package var nestedPagingParameter: String {
            switch self {
            case .vmx: "ept"
            case .svm: "npt"
            }
        }
    }

    /// The processor's extension; nil without one: then a KVM that runs guests emulates.
    package var processor: Extension?
    /// Whether this host is a guest itself: its extension is nested, or emulated.
    package var isGuest: Bool
    /// Whether guests have page tables of their own in hardware; nil where the kernel does not say.
    package var hasNestedPaging: Bool?
    /// Parts of the kernel's KVM that are there.
    package var modules: [String]

    /// Support of a host that exists only in a test.
    package init(
        processor: Extension?,
        isGuest: Bool,
        hasNestedPaging: Bool?,
        modules: [String]
    ) {
        self.processor = processor
        self.isGuest = isGuest
        self.hasNestedPaging = hasNestedPaging
        self.modules = modules
    }

    /// Asks this host.
    package init() {
        let flags = Host.processorFlags
        let processor = Extension.allCases.first { flags.contains($0.rawValue) }
        self.processor = processor
        isGuest = flags.contains("hypervisor")
        hasNestedPaging = processor.flatMap { processor in
            Host.parameter(processor.nestedPagingParameter, ofModule: processor.module)
                .map { ["Y", "1"].contains($0) }
        }
        modules = ["kvm_intel", "kvm_amd", "kvm_pvm"].filter { Host.hasModule($0) }
    }
}
