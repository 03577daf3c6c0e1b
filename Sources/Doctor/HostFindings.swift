// SPDX-License-Identifier: Apache-2.0

package import KVM
package import LinuxSystem
package import Userfault

/// What was found on a host: all that a ``Diagnosis`` goes by.
///
/// A test makes up its own.
package struct HostFindings: Sendable {
    /// What KVM offers, or why it cannot be used.
    package var kvm: Result<KVMSurvey, KVMUnavailable>
    /// What KVM runs guests with.
    package var virtualization: VirtualizationSupport
    /// Userfaultfd, and who may have it.
    package var userfault: UserfaultSurvey
    /// Why no memfd can be had; nil where it can.
    package var memoryFileError: SystemError?
    /// Huge pages of 2 MiB that nobody has taken or been promised.
    package var availableHugePages: Int
    /// The setting for transparent huge pages of anonymous memory; nil where there are none.
    package var transparentHugePages: String?
    /// The setting for those of memfds; nil where there are none.
    package var sharedTransparentHugePages: String?
    /// The clock that the kernel reads; nil where it does not say.
    package var clockSource: String?
    /// Clocks that it could read.
    package var availableClockSources: [String]

    /// Findings of a host that exists only in a test.
    package init(
        kvm: Result<KVMSurvey, KVMUnavailable>,
        virtualization: VirtualizationSupport,
        userfault: UserfaultSurvey,
        memoryFileError: SystemError?,
        availableHugePages: Int,
        transparentHugePages: String?,
        sharedTransparentHugePages: String?,
        clockSource: String?,
        availableClockSources: [String]
    ) {
        self.kvm = kvm
        self.virtualization = virtualization
        self.userfault = userfault
        self.memoryFileError = memoryFileError
        self.availableHugePages = availableHugePages
        self.transparentHugePages = transparentHugePages
        self.sharedTransparentHugePages = sharedTransparentHugePages
        self.clockSource = clockSource
        self.availableClockSources = availableClockSources
    }

    /// Looks at this host, as the user who runs this process; changes nothing.
    package init() {
        kvm = Result { () throws(KVMUnavailable) in try KVMSurvey() }
        virtualization = VirtualizationSupport()
        userfault = UserfaultSurvey()
        do {
            _ = try MemoryFile(name: "apus-doctor", byteCount: Host.pageByteCount)
            memoryFileError = nil
        } catch {
            memoryFileError = error
        }
        availableHugePages = Host.availableHugePages
        transparentHugePages = Host.transparentHugePages
        sharedTransparentHugePages = Host.sharedTransparentHugePages
        clockSource = Host.clockSource
        availableClockSources = Host.availableClockSources
    }
}
