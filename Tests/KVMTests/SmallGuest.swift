// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import KVM
import LinuxSystem

/// A guest of 4 MiB, or more, with one vCPU in long mode, whose program is given as bytes.
final class SmallGuest: Sendable {
    static let entry: UInt64 = 0x10000
    static let pageTables: UInt64 = 0x2000

    // The VM uses the memory: it goes first.
    let virtualCPU: VirtualCPU
    let virtualMachine: VirtualMachine
    let memory: GuestRAM
    let tracker: DirtyTracker?

    init(
        program: [UInt8],
        argument: UInt64 = 0,
        memoryBytes: Int = 4 << 20,
        tracking method: DirtyTracker.Method? = nil
    ) throws {
        memory = try GuestRAM(layout: .pc(byteCount: memoryBytes), backing: .anonymous)
        let bytes = unsafe memory.bytes(of: PageRange(first: PageIndex(0), count: 1024))
        for (offset, byte) in program.enumerated() {
            unsafe bytes[Int(Self.entry) + offset] = byte
        }
        // One GiB of identity map: PML4, PDPT, and a directory of 2 MiB pages.
        let tables = Int(Self.pageTables)
        unsafe bytes.storeBytes(of: UInt64(0x3003), toByteOffset: tables, as: UInt64.self)
        unsafe bytes.storeBytes(of: UInt64(0x4003), toByteOffset: 0x3000, as: UInt64.self)
        for entry in 0..<512 {
            unsafe bytes.storeBytes(
                of: UInt64(entry) << 21 | 0x83,
                toByteOffset: 0x4000 + entry * 8,
                as: UInt64.self
            )
        }
        let system = try KVMSystem()
        virtualMachine = try system.makeVirtualMachine()
        try virtualMachine.setMemory(memory)
        var tracker: DirtyTracker?
        if let method {
            tracker = try DirtyTracker(of: virtualMachine, memory, preferring: method)
        }
        self.tracker = tracker
        virtualCPU = try virtualMachine.makeVirtualCPU(index: 0)
        try tracker?.add(virtualCPU)
        try virtualCPU.setCPUID(system.supportedCPUID())
        try virtualCPU.enterLongMode(
            at: Self.entry,
            pageTables: Self.pageTables,
            argument: argument
        )
    }

    /// RIP, the 17th word of `struct kvm_regs`.
    func instructionPointer() throws -> UInt64 {
        let bytes = try virtualCPU.state(.registers)
        return bytes[128..<136].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
