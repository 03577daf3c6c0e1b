// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// How a vCPU's touch of an absent page reaches this process.
package enum FaultPath: String, CaseIterable, Sendable {
    /// The vCPU leaves KVM_RUN (`KVM_CAP_MEM_FAULT_NOWAIT`).
    case nowait
    /// The same on unpatched kernels, by marking absent memory private
    /// (`KVM_X86_SW_PROTECTED_VM`). KVM calls this kind of VM a development aid.
    case attributes
    /// The vCPU sleeps in userfaultfd and a fault reader serves it.
    case userfault
}

/// What a person asks for.
package enum FaultPathChoice: String, CaseIterable, Sendable {
    /// The first of nowait, attributes and userfault that this host has.
    case auto
    /// Only this one, see ``FaultPath/nowait``.
    case nowait
    /// Only this one, see ``FaultPath/attributes``.
    case attributes
    /// Only this one, see ``FaultPath/userfault``.
    case userfault

    /// Whether a path may be taken.
    package func allows(_ path: FaultPath) -> Bool {
        self == .auto || rawValue == path.rawValue
    }
}

/// Why no VM with the fault path that was asked for can be had.
package enum FaultProbeError: Error, Equatable {
    /// This host lacks the path.
    case unavailable(FaultPathUnavailable)
    /// A VM could not be created.
    case system(SystemError)
}

/// A path that was asked for and that this host lacks.
package struct FaultPathUnavailable: Error, Equatable, CustomStringConvertible {
    /// The path.
    package let path: FaultPath
    /// What the kernel said.
    package let reason: String

    /// Cause and remedy in one line.
    package var description: String {
        let remedy =
            switch path {
            case .nowait:
                "boot a kernel with KVM_CAP_MEM_FAULT_NOWAIT (deploy/kernel/build, "
                    + "Documentation/KERNEL.md)"
            case .attributes:
                "boot a kernel >= 6.8 built with CONFIG_KVM_SW_PROTECTED_VM=y, on a processor "
                    + "with nested paging"
            case .userfault: "every host has it"
            }
        return "fault path \(path.rawValue) is not available: \(reason); \(remedy), "
            + "or choose --fault-path auto"
    }
}
