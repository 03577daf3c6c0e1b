// SPDX-License-Identifier: Apache-2.0

import Glibc
import KVM
import LinuxSystem
import Machine
import Testing

struct `Errors of a machine` {
    @Test(arguments: [
        (MachineError.kvmUnavailable(.missing), ["/dev/kvm", "load"]),
        (.missingCapability(name: "KVM_CAP_XSAVE"), ["KVM_CAP_XSAVE", "Linux"]),
        (.system(SystemError(code: ENOMEM, operation: "ioctl(KVM_CREATE_VM)")), ["ENOMEM"]),
        (.vcpuCount(65, most: 64), ["65", "1 to 64"]),
        (.unknownGuest("linux"), ["linux", "walker"]),
        (.guestMemory(.tooSmall(byteCount: 1 << 20, least: 4 << 20)), ["1024 KiB", "4096 KiB"]),
        (.guestMemory(.tooLarge(endAddress: 1 << 40, most: 1 << 38)), ["1024 GiB", "256 GiB"]),
        (.hostMemory(neededBytes: 2 << 30, availableBytes: 1 << 30), ["2048", "1024", "--memory"]),
        (.tscFrequency(guestKilohertz: 2, hostKilohertz: 3), ["2 kHz", "3 kHz"]),
        (.option(name: "zero percent", value: "101", allowed: "0 to 100"), ["101", "0 to 100"]),
        (.state(.missingClock), ["clock"]),
        (.registerRefused(vcpu: 1, index: 0x3B), ["0x3b", "vCPU 1"]),
        (.pauseTimedOut(vcpus: [0, 3]), ["0, 3"]),
    ])
    func `say the cause in one line`(error: MachineError, words: [String]) {
        #expect(!error.description.contains("\n"))
        for word in words { #expect(error.description.contains(word), "\(error)") }
    }
}
