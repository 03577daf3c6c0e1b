// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc
package import GuestMemory
package import LinuxSystem

/// Tells which pages a guest's vCPUs write, in either of KVM's two ways.
///
/// Safe from several threads at once. What this process writes itself is for
/// ``GuestRAM/noteWritten(_:)`` to say.
package final class DirtyTracker: Sendable {
    /// How KVM tells.
    package enum Method: String, CaseIterable, Sendable {
        /// In a ring for each vCPU; costs what has been written.
        case ring
        /// In a bitmap of all memory; costs what there is.
        case log
    }

    /// How KVM tells.
    package let method: Method
    private let virtualMachine: VirtualMachine
    private let memory: GuestRAM
    /// The first page of each region, which KVM knows as the slot of the same number, and then the
    /// number of all pages.
    private let starts: [Int]
    /// Locked, as a vCPU whose ring is full takes from all of them, too.
    private let rings = Locked(Rings())

    /// What KVM tells by rings; nothing without them.
    private struct Rings {
        /// One for each vCPU.
        var rings: [DirtyRing] = []
        /// Taken out of the rings, and not yet for others to know; empty between two collections.
        var taken: [PageIndex] = []
    }

    /// Chooses how, and asks KVM for rings if it has them; nothing is tracked yet.
    ///
    /// - Parameters:
    ///   - virtualMachine: Has no vCPU yet: rings cannot be had later.
    ///   - memory: The VM's.
    ///   - preferred: The ring, unless a test wants the other one.
    /// - Throws: ``SystemError`` of a kernel that offers rings and does not give them.
    ///
    /// Kernel interface: `KVM_CAP_DIRTY_LOG_RING`.
    package init(
        of virtualMachine: VirtualMachine,
        _ memory: GuestRAM,
        preferring preferred: Method = .ring
    ) throws(SystemError) {
        self.virtualMachine = virtualMachine
        self.memory = memory
        var starts = [0]
        for region in memory.layout.regions {
            starts.append(starts[starts.count - 1] + region.pageCount)
        }
        self.starts = starts
        let hasRings = virtualMachine.check(.dirtyRing) >= DirtyRing.byteCount
        method = hasRings ? preferred : .log
        if method == .ring {
            try virtualMachine.enable(.dirtyRing, argument: UInt64(DirtyRing.byteCount))
        }
    }

    /// Takes note of a vCPU of the VM, before it runs.
    package func add(_ vCPU: VirtualCPU) throws(SystemError) {
        guard method == .ring else { return }
        try rings.withLock { (state: inout Rings) throws(SystemError) in
            state.rings.append(try DirtyRing(of: vCPU.descriptor))
            // Now, and not in a vCPU's thread.
            state.taken.reserveCapacity(state.rings.count * DirtyRing.entryCount)
        }
    }

    /// From now on writes are tracked; vCPUs may run.
    ///
    /// Forgets what was written before.
    ///
    /// Kernel interface: `KVM_MEM_LOG_DIRTY_PAGES`.
    package func start() throws(SystemError) {
        // Before: from then on a vCPU's thread may add to it.
        for word in 0..<memory.written.wordCount { _ = memory.written.takeBits(ofWord: word) }
        try virtualMachine.setMemory(memory, flags: UInt32(KVM_MEM_LOG_DIRTY_PAGES))
    }

    /// Writes are not tracked any more.
    package func stop() throws(SystemError) {
        try virtualMachine.setMemory(memory, flags: 0)
        // What lies in rings would stop vCPUs later.
        if method == .ring { try collect() }
    }

    /// Adds the pages written since the last call to ``GuestRAM/written``.
    ///
    /// A page written after the call is told by the next one. While vCPUs run, some of what they
    /// wrote just before may be told later: for the last word they have to be out of KVM_RUN.
    ///
    /// Kernel interface: `ioctl(KVM_RESET_DIRTY_RINGS)`, or `ioctl(KVM_GET_DIRTY_LOG)`.
    package func collect() throws(SystemError) {
        switch method {
        case .ring: try collectRings()
        case .log: try collectLog()
        }
    }

    /// Publishes nothing before KVM watches for the next write: whoever finds a page in `written`
    /// takes it out and reads the page, and a write after that has to be told.
    private func collectRings() throws(SystemError) {
        try rings.withLock { (state: inout Rings) throws(SystemError) in
            var entryCount = 0
            for ring in state.rings {
                ring.takeAll { slot, page in
                    entryCount += 1
                    if let page = self.page(page, inSlot: slot) { state.taken.append(page) }
                }
            }
            defer { state.taken.removeAll(keepingCapacity: true) }
            try reset(entryCount)
            for page in state.taken { _ = memory.written.insert(page) }
        }
    }

    /// Gives entries that have been taken back to KVM, which watches their pages from then on.
    ///
    /// A signal that is pending, such as the kick of a vCPU's thread, cuts a call short (Linux 6.16).
    /// It has been handled when the call returns, so that the next one gets on.
    private func reset(_ entryCount: Int) throws(SystemError) {
        var left = entryCount
        for _ in 0..<Self.mostResets where left > 0 {
            left -= Int(
                try checked(
                    clinux_ioctl_value(
                        virtualMachine.descriptor.rawValue,
                        CLINUX_KVM_RESET_DIRTY_RINGS,
                        0
                    ),
                    "ioctl(KVM_RESET_DIRTY_RINGS)"
                )
            )
        }
        guard left <= 0 else {
            throw SystemError(code: EINTR, operation: "ioctl(KVM_RESET_DIRTY_RINGS)")
        }
    }

    private static let mostResets = 1000

    /// A page of the guest by its place in a slot; nil where there is none.
    private func page(_ page: UInt64, inSlot slot: UInt32) -> PageIndex? {
        let slot = Int(slot)
        guard slot < starts.count - 1, page < UInt64(starts[slot + 1] - starts[slot]) else {
            return nil
        }
        return PageIndex(starts[slot] + Int(page))
    }

    /// The kernel has write-protected what it names before it names it: nothing is told too early.
    private func collectLog() throws(SystemError) {
        for (slot, region) in memory.layout.regions.enumerated() {
            var words = [UInt64](repeating: 0, count: (region.pageCount + 63) / 64)
            try virtualMachine.readDirtyLog(slot: UInt32(slot), into: &words)
            for (index, word) in words.enumerated() {
                var bits = word
                while bits != 0 {
                    let page = starts[slot] + index * 64 + bits.trailingZeroBitCount
                    _ = memory.written.insert(PageIndex(page))
                    bits &= bits - 1
                }
            }
        }
    }
}

extension VirtualMachine {
    /// Kernel interface: `ioctl(KVM_ENABLE_CAP)`.
    fileprivate func enable(
        _ capability: KVMCapability,
        argument: UInt64
    ) throws(SystemError) {
        var request = kvm_enable_cap()
        request.cap = UInt32(capability.number)
        request.args.0 = argument
        try checked(
            unsafe clinux_ioctl(descriptor.rawValue, CLINUX_KVM_ENABLE_CAP, &request),
            "ioctl(KVM_ENABLE_CAP) of \(capability.name)"
        )
    }

    /// Reads and clears the log of a slot.
    ///
    /// Kernel interface: `ioctl(KVM_GET_DIRTY_LOG)`.
    fileprivate func readDirtyLog(
        slot: UInt32,
        into words: inout [UInt64]
    ) throws(SystemError) {
        let result = unsafe words.withUnsafeMutableBytes { buffer in
            var request = unsafe kvm_dirty_log()
            unsafe request.slot = slot
            unsafe request.dirty_bitmap = buffer.baseAddress
            return unsafe clinux_ioctl(
                descriptor.rawValue,
                CLINUX_KVM_GET_DIRTY_LOG,
                &request
            )
        }
        try checked(result, "ioctl(KVM_GET_DIRTY_LOG) of slot \(slot)")
    }
}
