// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxSystem
import Testing
import Userfault

@Suite struct UserfaultConstantsTests {
    @Test func `an ioctl, a feature and a mode have the number that the kernel gave them`() {
        for (name, number, known) in knownNumbers { #expect(number == known, "\(name)") }
    }

    @Test(arguments: [ENOENT, EACCES])
    func `a refused permission names all three remedies in one line`(device: CInt) {
        let text = UserfaultUnavailable.permission(device: device).description
        #expect(text.contains("/dev/userfaultfd"))
        #expect(text.contains("setcap cap_sys_ptrace+ep"))
        #expect(text.contains("sysctl vm.unprivileged_userfaultfd=1"))
        #expect(!text.contains("\n"))
    }

    @Test func `every cause has its remedy`() {
        let causes: [(UserfaultUnavailable, String)] = [
            (.kernel, "CONFIG_USERFAULTFD"), (.features(.missing, code: EINVAL), "≥ 4.14"),
            (.features(.missingAndMinor, code: EINVAL), "--backing anonymous"),
            (.permission(device: ENOENT), "≥ 6.1"), (.permission(device: EACCES), "chmod"),
        ]
        for (cause, remedy) in causes { #expect(cause.description.contains(remedy)) }
        let other = UserfaultUnavailable.system(SystemError(code: EMFILE, operation: "userfaultfd"))
        #expect(other.description.contains("EMFILE"))
    }
}
