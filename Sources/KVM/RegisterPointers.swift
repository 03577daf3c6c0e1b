// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// Where the registers of a vCPU point to.
///
/// What a vCPU touches first when it goes on. A value; the registers may hold anything.
package struct RegisterPointers: Equatable, Sendable {
    /// How addresses lead to memory.
    package enum Addressing: Equatable, Sendable {
        /// They are guest physical ones.
        case physical
        /// By tables of so many levels, 4 or 5, from the page at a guest physical address on.
        case tables(at: UInt64, levels: Int)
    }

    /// How they are meant; nil in the modes of a 32-bit processor.
    package let addressing: Addressing?
    /// Code and stack, the current task's data, the descriptor tables, and the task state.
    package let addresses: [UInt64]

    /// Reads them; nil when the sizes are wrong.
    ///
    /// - Parameters:
    ///   - registers: ``StateStructure/registers``.
    ///   - special: ``StateStructure/specialRegisters``.
    package init?(registers: [UInt8], special: [UInt8]) {
        guard registers.count == StateStructure.registers.byteCount,
            special.count == StateStructure.specialRegisters.byteCount
        else { return nil }
        let general = unsafe registers.withUnsafeBytes {
            unsafe $0.loadUnaligned(as: kvm_regs.self)
        }
        let special = unsafe special.withUnsafeBytes { unsafe $0.loadUnaligned(as: kvm_sregs.self) }
        let isPaging = special.cr0 & 1 << 31 != 0
        let isLong = special.efer & 1 << 10 != 0
        addressing =
            switch (isPaging, isLong) {
            case (false, _): .physical
            case (true, false): nil
            case (true, true):
                .tables(
                    at: special.cr3 & 0x000F_FFFF_FFFF_F000,
                    levels: special.cr4 & 1 << 12 != 0 ? 5 : 4
                )
            }
        addresses = [
            general.rip, general.rsp, special.gs.base, special.fs.base, special.idt.base,
            special.gdt.base, special.tr.base,
        ]
    }
}
