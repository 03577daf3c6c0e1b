// SPDX-License-Identifier: Apache-2.0

/// Why a vCPU left `KVM_RUN`.
package enum VirtualCPUExit: Equatable, Sendable {
    /// The guest reads or writes an I/O port. It goes on behind that instruction at the next
    /// `run()`; a read gets what ``VirtualCPU/answer(_:)`` has put there.
    case portAccess(PortAccess)
    /// The guest executed HLT; without an interrupt controller it is for this process to wait.
    case halt
    /// The guest touched an address where it has no memory.
    case deviceAccess(DeviceAccess)
    /// Triple fault: the guest is over.
    case shutdown
    /// A signal or ``VirtualCPU/requestImmediateExit()``; pending I/O is completed.
    case interrupted
    /// The kernel could not make guest memory present (`KVM_EXIT_MEMORY_FAULT`).
    case memoryFault(MemoryFault)
    /// The ring of pages that this vCPU has written is full: see ``DirtyTracker``.
    case dirtyRingFull
    /// The processor refused the guest's state, with its own reason.
    case failedEntry(hardwareReason: UInt64)
    /// KVM could not go on, for example with an instruction it cannot emulate.
    case internalError(suberror: UInt32)
    /// Something this program does not know.
    case unknown(reason: UInt32)
}

/// One access of the guest to an I/O port.
package struct PortAccess: Equatable, Sendable {
    /// Which way the bytes go, seen from the guest.
    package enum Direction: Sendable {
        /// The guest reads (IN).
        case input
        /// The guest writes (OUT).
        case output
    }

    /// The port.
    package let port: UInt16
    /// Which way.
    package let direction: Direction
    /// Bytes of one element: 1, 2 or 4.
    package let byteCount: Int
    /// Elements; more than one for string instructions.
    package let count: Int
    /// What the guest wrote, the first element of it; zero when it reads.
    package let value: UInt32
}

/// One access of the guest to an address without memory.
package struct DeviceAccess: Equatable, Sendable {
    /// Guest physical address.
    package let address: UInt64
    /// Bytes, 1 to 8.
    package let byteCount: Int
    /// Whether the guest writes.
    package let isWrite: Bool
    /// What the guest wrote, little-endian; zero when it reads.
    package let value: UInt64
}

/// Guest memory that the kernel could not make present for a vCPU.
package struct MemoryFault: Equatable, Sendable {
    /// Guest physical address of the first byte.
    package let address: UInt64
    /// Bytes that are meant.
    package let byteCount: UInt64
    /// `KVM_MEMORY_EXIT_FLAG_*`.
    package let flags: UInt64
}
