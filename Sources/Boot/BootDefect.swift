// SPDX-License-Identifier: Apache-2.0

/// Why a guest cannot be started from these files in this much memory.
package enum BootDefect: Error, Equatable, Sendable, CustomStringConvertible {
    /// Neither a bzImage nor an ELF file.
    case unknownFormat
    /// A field of a bzImage that cannot be.
    case bzImage(String)
    /// A field of an ELF file that cannot be.
    case elf(String)
    /// The command line has bytes that cannot be in it, or too many of them.
    case commandLine(String)
    /// The kernel does not fit into low memory.
    case kernelTooLarge(endAddress: UInt64, most: UInt64)
    /// The initial RAM disk does not fit between the kernel and the end of low memory.
    case initrdTooLarge(byteCount: Int, most: Int)
    /// An initial RAM disk without a byte.
    case initrdEmpty
    /// Memory that does not begin at address zero, or is too small for any kernel.
    case memory(String)

    /// Cause and remedy in one line.
    package var description: String {
        switch self {
        case .unknownFormat:
            "the kernel is neither a bzImage nor an ELF vmlinux: give a Linux kernel for x86-64"
        case .bzImage(let what):
            "the kernel is a malformed bzImage: \(what)"
        case .elf(let what):
            "the kernel is a malformed ELF file: \(what)"
        case .commandLine(let what):
            "the kernel's command line is not possible: \(what)"
        case .kernelTooLarge(let end, let most):
            "the kernel is too large: it needs memory up to \(end >> 20) MiB, and there is memory "
                + "up to \(most >> 20) MiB: give more with --memory"
        case .initrdTooLarge(let byteCount, let most):
            "the initrd is too large: it has \(byteCount >> 10) KiB, and \(most >> 10) KiB are "
                + "free behind the kernel: give more with --memory"
        case .initrdEmpty:
            "the initrd is empty: give a cpio archive, or none"
        case .memory(let layout):
            "Linux wants memory from address 0 on, 16 MiB or more, not \(layout)"
        }
    }
}
