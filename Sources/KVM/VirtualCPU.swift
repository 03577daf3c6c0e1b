// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc
package import LinuxSystem
internal import Synchronization

/// One vCPU: its descriptor and the structure it shares with the kernel.
///
/// One thread calls `run()` and `answer(_:)`. State may be read and set by any thread while no
/// thread is in `run()`; `requestImmediateExit()` may be called at any time.
package final class VirtualCPU: Sendable {
    /// Its number in the VM, from zero.
    package let index: Int
    /// Bytes of its FPU and vector state.
    package let xsaveByteCount: Int

    let descriptor: FileDescriptor
    private let shared: Mapping

    /// Takes ownership of a vCPU that was just created, and maps its shared structure.
    init(
        owning descriptor: consuming FileDescriptor,
        index: Int,
        sharedByteCount: Int,
        xsaveByteCount: Int
    ) throws(SystemError) {
        shared = try Mapping(.shared(descriptor.rawValue), byteCount: sharedByteCount)
        self.descriptor = descriptor
        self.index = index
        self.xsaveByteCount = xsaveByteCount
    }

    /// Runs the guest until it needs this process.
    ///
    /// Completes the I/O of the exit before first.
    ///
    /// - Returns: Why it came back; being interrupted is one of the reasons.
    /// - Throws: What KVM_RUN is not expected to fail with, for example `EFAULT` where the
    ///   kernel does not say for which address.
    ///
    /// Kernel interface: `ioctl(KVM_RUN)`. Allocates nothing.
    package func run() throws(SystemError) -> VirtualCPUExit {
        // The kernel leaves the old reason there when it fails early.
        unsafe store(UInt32(KVM_EXIT_UNKNOWN), at: CLINUX_KVM_RUN_EXIT_REASON)
        let result = clinux_ioctl_value(descriptor.rawValue, CLINUX_KVM_RUN, 0)
        let reason: UInt32 = unsafe load(CLINUX_KVM_RUN_EXIT_REASON)
        if result >= 0 { return exit(reason) }
        switch -result {
        // EAGAIN: a vCPU that waited for its start-up message has it, or was only woken.
        case EINTR, EAGAIN:
            return .interrupted
        case EFAULT where Self.isMemoryFault(reason), EHWPOISON where Self.isMemoryFault(reason):
            return exit(reason)
        default:
            throw SystemError(code: -result, operation: "ioctl(KVM_RUN) of vCPU \(index)")
        }
    }

    /// Answers a read of a port or a device, before the next `run()`.
    ///
    /// - Parameter value: Little-endian; as many bytes are taken as the guest asked for.
    package func answer(_ value: UInt64) {
        switch unsafe load(CLINUX_KVM_RUN_EXIT_REASON) as UInt32 {
        case UInt32(KVM_EXIT_IO):
            unsafe store(UInt32(truncatingIfNeeded: value), at: ioDataOffset)
        case UInt32(KVM_EXIT_MMIO):
            unsafe store(value, at: CLINUX_KVM_RUN_MMIO_DATA)
        default:
            break
        }
    }

    /// One element of the string that the guest writes to a port with one instruction.
    ///
    /// - Parameters:
    ///   - position: Below the `count` of the access.
    ///   - access: The access that `run()` has just returned.
    /// - Returns: Its bytes, zeros above them.
    package func element(_ position: Int, of access: PortAccess) -> UInt32 {
        precondition(position >= 0 && position < access.count)
        return outputValue(access.byteCount, at: ioDataOffset + UInt(position * access.byteCount))
    }

    /// Answers one element of a string that the guest reads from a port.
    ///
    /// - Parameters:
    ///   - value: As many bytes of it are taken as an element has.
    ///   - position: Below the `count` of the access.
    ///   - access: The access that `run()` has just returned.
    package func answer(_ value: UInt32, element position: Int, of access: PortAccess) {
        precondition(position >= 0 && position < access.count)
        let offset = ioDataOffset + UInt(position * access.byteCount)
        switch access.byteCount {
        case 1: unsafe store(UInt8(truncatingIfNeeded: value), at: offset)
        case 2: unsafe store(UInt16(truncatingIfNeeded: value), at: offset)
        default: unsafe store(value, at: offset)
        }
    }

    /// Makes the `run()` under way, or else the next ones, return `.interrupted`.
    ///
    /// A guest that is executing at the time also needs a signal to its thread. Sequentially
    /// consistent, see `allowRun()`.
    package func requestImmediateExit() {
        unsafe immediateExit.pointee.store(1, ordering: .sequentiallyConsistent)
    }

    /// Takes `requestImmediateExit()` back.
    ///
    /// Sequentially consistent: the owner's thread calls it and then looks whether it may still
    /// run; who wants it to stop says so first and then requests the exit. One sees the other.
    package func allowRun() {
        unsafe immediateExit.pointee.store(0, ordering: .sequentiallyConsistent)
    }

    /// The task priority that the kernel takes over at the next run, as there is no interrupt
    /// controller in the kernel to hold it.
    func setTaskPriority(_ cr8: UInt64) {
        unsafe store(cr8, at: CLINUX_KVM_RUN_CR8)
    }
}

extension VirtualCPU {
    private static func isMemoryFault(_ reason: UInt32) -> Bool {
        reason == CLINUX_KVM_EXIT_MEMORY_FAULT || reason == CLINUX_KVM_EXIT_MEMORY_FAULT_RFC
    }

    private func exit(_ reason: UInt32) -> VirtualCPUExit {
        switch reason {
        case UInt32(KVM_EXIT_IO): .portAccess(portAccess)
        case UInt32(KVM_EXIT_HLT): .halt
        case UInt32(KVM_EXIT_MMIO): .deviceAccess(deviceAccess)
        case UInt32(KVM_EXIT_SHUTDOWN): .shutdown
        case UInt32(KVM_EXIT_INTR): .interrupted
        case CLINUX_KVM_EXIT_MEMORY_FAULT, CLINUX_KVM_EXIT_MEMORY_FAULT_RFC:
            .memoryFault(
                MemoryFault(
                    address: unsafe load(CLINUX_KVM_RUN_MEMORY_FAULT_ADDRESS),
                    byteCount: unsafe load(CLINUX_KVM_RUN_MEMORY_FAULT_SIZE),
                    flags: unsafe load(CLINUX_KVM_RUN_MEMORY_FAULT_FLAGS)
                )
            )
        case UInt32(KVM_EXIT_DIRTY_RING_FULL): .dirtyRingFull
        case UInt32(KVM_EXIT_FAIL_ENTRY):
            .failedEntry(hardwareReason: unsafe load(CLINUX_KVM_RUN_HARDWARE_REASON))
        case UInt32(KVM_EXIT_INTERNAL_ERROR):
            .internalError(suberror: unsafe load(CLINUX_KVM_RUN_INTERNAL_SUBERROR))
        default:
            .unknown(reason: reason)
        }
    }

    private var portAccess: PortAccess {
        let direction: UInt8 = unsafe load(CLINUX_KVM_RUN_IO_DIRECTION)
        let byteCount: UInt8 = unsafe load(CLINUX_KVM_RUN_IO_SIZE)
        let count: UInt32 = unsafe load(CLINUX_KVM_RUN_IO_COUNT)
        let isOutput = direction == UInt8(KVM_EXIT_IO_OUT)
        return PortAccess(
            port: unsafe load(CLINUX_KVM_RUN_IO_PORT),
            direction: isOutput ? .output : .input,
            byteCount: Int(byteCount),
            count: Int(count),
            value: isOutput ? outputValue(Int(byteCount), at: ioDataOffset) : 0
        )
    }

    private func outputValue(_ byteCount: Int, at offset: UInt) -> UInt32 {
        switch byteCount {
        case 1: UInt32(unsafe load(offset) as UInt8)
        case 2: UInt32(unsafe load(offset) as UInt16)
        default: unsafe load(offset)
        }
    }

    private var ioDataOffset: UInt {
        UInt(unsafe load(CLINUX_KVM_RUN_IO_DATA_OFFSET) as UInt64)
    }

    private var deviceAccess: DeviceAccess {
        let byteCount: UInt32 = unsafe load(CLINUX_KVM_RUN_MMIO_LENGTH)
        let isWrite: UInt8 = unsafe load(CLINUX_KVM_RUN_MMIO_IS_WRITE)
        var value: UInt64 = 0
        if isWrite != 0 {
            value = unsafe load(CLINUX_KVM_RUN_MMIO_DATA)
            if byteCount < 8 { value &= (1 << UInt64(byteCount * 8)) - 1 }
        }
        return DeviceAccess(
            address: unsafe load(CLINUX_KVM_RUN_MMIO_ADDRESS),
            byteCount: Int(byteCount),
            isWrite: isWrite != 0,
            value: value
        )
    }

    private var immediateExit: UnsafeMutablePointer<Atomic<UInt8>> {
        unsafe (shared.base + Int(CLINUX_KVM_RUN_IMMEDIATE_EXIT))
            .assumingMemoryBound(to: Atomic<UInt8>.self)
    }

    // SAFETY: offsets come from the kernel's own structure, or from the kernel while it had the
    // vCPU; the kernel writes the structure only during KVM_RUN, which is the caller's own.
    @unsafe private func load<Value: BitwiseCopyable>(_ offset: UInt) -> Value {
        precondition(offset <= UInt(shared.byteCount - MemoryLayout<Value>.size))
        return unsafe shared.base.loadUnaligned(fromByteOffset: Int(offset), as: Value.self)
    }

    @unsafe private func store<Value: BitwiseCopyable>(_ value: Value, at offset: UInt) {
        precondition(offset <= UInt(shared.byteCount - MemoryLayout<Value>.size))
        unsafe shared.base.storeBytes(of: value, toByteOffset: Int(offset), as: Value.self)
    }
}
