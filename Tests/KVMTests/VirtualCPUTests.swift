// SPDX-License-Identifier: Apache-2.0

import Glibc
import KVM
import LinuxSystem
import Synchronization
import TestSupport
import Testing

@Suite(.enabled(if: HostFacts.runsKVMTests, "needs a working /dev/kvm"), .timeLimit(.minutes(1)))
struct `A vCPU` {
    @Test func `computes, writes to a port and halts`() throws {
        // mov eax, edi; add eax, 2; out 0x10, eax; hlt
        let program: [UInt8] = [0x89, 0xF8, 0x83, 0xC0, 0x02, 0xE7, 0x10, 0xF4]
        let guest = try SmallGuest(program: program, argument: 0x1234_5678)
        guard case .portAccess(let access) = try guest.virtualCPU.run() else {
            Issue.record("no port access")
            return
        }
        #expect(access.port == 0x10)
        #expect(access.direction == .output)
        #expect(access.byteCount == 4)
        #expect(access.count == 1)
        #expect(access.value == 0x1234_567A)
        #expect(try guest.virtualCPU.run() == .halt)
    }

    @Test func `reads from a port what the host answers`() throws {
        // in al, 0x11; out 0x12, al; hlt
        let guest = try SmallGuest(program: [0xE4, 0x11, 0xE6, 0x12, 0xF4])
        guard case .portAccess(let question) = try guest.virtualCPU.run() else {
            Issue.record("no port access")
            return
        }
        #expect(question.port == 0x11)
        #expect(question.direction == .input)
        guest.virtualCPU.answer(0x5A)
        guard case .portAccess(let echo) = try guest.virtualCPU.run() else {
            Issue.record("no port access")
            return
        }
        #expect(echo.port == 0x12)
        #expect(echo.value == 0x5A)
    }

    @Test func `exits where the guest has no memory`() throws {
        // mov [0x800000], eax; hlt
        let guest = try SmallGuest(
            program: [0x89, 0x04, 0x25, 0x00, 0x00, 0x80, 0x00, 0xF4]
        )
        guard case .deviceAccess(let access) = try guest.virtualCPU.run() else {
            Issue.record("no device access")
            return
        }
        #expect(access.address == 0x80_0000)
        #expect(access.byteCount == 4)
        #expect(access.isWrite)
        #expect(access.value == 0)
        #expect(try guest.virtualCPU.run() == .halt)
    }

    @Test func `shuts down at an exception that nobody handles`() throws {
        // ud2
        let guest = try SmallGuest(program: [0x0F, 0x0B])
        #expect(try guest.virtualCPU.run() == .shutdown)
    }

    @Test func `does not run while an immediate exit is requested`() throws {
        let guest = try SmallGuest(program: [0x90, 0xF4])
        guest.virtualCPU.requestImmediateExit()
        #expect(try guest.virtualCPU.run() == .interrupted)
        #expect(try guest.instructionPointer() == SmallGuest.entry)
        guest.virtualCPU.allowRun()
        #expect(try guest.virtualCPU.run() == .halt)
    }

    @Test func `completes its port access when told to exit`() throws {
        // out 0x10, al; hlt
        let guest = try SmallGuest(program: [0xE6, 0x10, 0xF4])
        guard case .portAccess = try guest.virtualCPU.run() else {
            Issue.record("no port access")
            return
        }
        guest.virtualCPU.requestImmediateExit()
        #expect(try guest.virtualCPU.run() == .interrupted)
        #expect(try guest.instructionPointer() == SmallGuest.entry + 2)
    }

    @Test func `leaves an endless loop when it is kicked`() throws {
        try KickSignal.install()
        // jmp to itself
        let guest = try SmallGuest(program: [0xEB, 0xFE])
        let hasEnded = FutexWord(0)
        let outcome = Outcome()
        let thread = try Thread(name: "test-vcpu") {
            outcome.exit.withLock { $0 = try? guest.virtualCPU.run() }
            hasEnded.store(1)
        }
        hasEnded.wait(while: 0, timeout: .milliseconds(20))
        #expect(hasEnded.value == 0)
        guest.virtualCPU.requestImmediateExit()
        while hasEnded.value == 0 {
            thread.kick()
            hasEnded.wait(while: 0, timeout: .milliseconds(10))
        }
        thread.join()
        #expect(outcome.exit.withLock { $0 } == .interrupted)
    }

    private final class Outcome: Sendable {
        let exit = Mutex<VirtualCPUExit?>(nil)
    }
}
