// SPDX-License-Identifier: Apache-2.0

internal import KVM
internal import LinuxSystem

/// Which model-specific registers make up the state of a vCPU.
///
/// Found out once, before anything is paused: those KVM lists, plus some it holds without listing
/// them, less those that cannot be read and set back.
struct SavedRegisters {
    /// Ready to be read, all in one call.
    ///
    /// The TSC comes first: the timer that is programmed in its
    /// terms (IA32_TSC_DEADLINE) must be set after it.
    let template: ModelSpecificRegisters
    /// Position of each register in `template`.
    let positions: [UInt32: Int]

    private enum Range {
        /// Memory types: held by KVM, listed by newer kernels only.
        static let memoryTypes: [UInt32] =
            [0x2FF, 0x250, 0x258, 0x259] + Array(0x268...0x26F) + Array(0x200...0x20F)
        /// Hyper-V's interface, which no guest of ours is offered; to write one of its registers
        /// would make KVM set it up.
        static let hyperV: ClosedRange<UInt32> = 0x4000_0000...0x4000_01FF
        /// Two old numbers of kvmclock registers that have new ones (0x4B56_4D00 and after);
        /// setting them as well would tell KVM that the guest uses the old clock.
        static let oldClock: ClosedRange<UInt32> = 0x11...0x12
    }

    /// Tries all registers on a vCPU that has its CPUID and has not run.
    init(of vcpu: VirtualCPU, in system: KVMSystem) throws(SystemError) {
        let tsc = ModelSpecificRegisters.tscIndex
        var seen: Set<UInt32> = [tsc]
        var candidates: [UInt32] = []
        for index in try system.modelSpecificRegisterIndices() + Range.memoryTypes
        where !Range.hyperV.contains(index) && !Range.oldClock.contains(index)
            && seen.insert(index).inserted
        {
            candidates.append(index)
        }
        candidates = try Self.accepted(candidates) { batch throws(SystemError) in
            try vcpu.read(&batch)
        }
        // With the values just read, so that nothing changes.
        let settable = try Self.accepted(candidates) { batch throws(SystemError) in
            var current = batch
            _ = try vcpu.read(&current)
            return try vcpu.set(current)
        }
        template = ModelSpecificRegisters(indices: [tsc] + settable)
        positions = Dictionary(
            uniqueKeysWithValues: template.indices.enumerated().map { ($0.element, $0.offset) }
        )
    }

    /// Drops every register at which an operation on many stops.
    private static func accepted(
        _ candidates: [UInt32],
        _ operation: (inout ModelSpecificRegisters) throws(SystemError) -> Int
    ) throws(SystemError) -> [UInt32] {
        var rest = candidates[...]
        var result: [UInt32] = []
        while !rest.isEmpty {
            var batch = ModelSpecificRegisters(indices: rest)
            let count = min(try operation(&batch), rest.count)
            result += rest.prefix(count)
            rest = rest.dropFirst(count + 1)
        }
        return result
    }
}
