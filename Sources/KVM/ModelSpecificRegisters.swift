// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// Model-specific registers in the form in which KVM reads and sets them at once.
///
/// `struct kvm_msrs` with its entries, which do not import: a word with the count, then for each
/// register a word with its index and a word with its value.
package struct ModelSpecificRegisters: Equatable, Sendable {
    /// Number of the register that holds the TSC.
    package static let tscIndex: UInt32 = 0x10

    var words: [UInt64]

    /// Registers with the value zero, to be read.
    ///
    /// - Parameter indices: Their numbers.
    package init(indices: some Sequence<UInt32>) {
        words = [0]
        for index in indices { append(index: index, value: 0) }
    }

    /// How many registers.
    package var count: Int { words.count / 2 }

    /// Adds a register at the end.
    package mutating func append(index: UInt32, value: UInt64) {
        words.append(UInt64(index))
        words.append(value)
        words[0] = UInt64(count)
    }

    /// Number of the register at a position below `count`.
    package func index(at position: Int) -> UInt32 {
        UInt32(truncatingIfNeeded: words[1 + 2 * position])
    }

    /// Value of the register at a position below `count`.
    package func value(at position: Int) -> UInt64 {
        words[2 + 2 * position]
    }

    /// Numbers of all registers, in order.
    package var indices: [UInt32] { (0..<count).map { index(at: $0) } }
}
