// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc
package import LinuxSystem

/// State of a vCPU, read and set while it does not run. Each operation is one system call.
extension VirtualCPU {
    /// Reads a structure of fixed size.
    package func state(_ structure: StateStructure) throws(SystemError) -> [UInt8] {
        try read(structure.getRequest, byteCount: structure.byteCount, structure.name)
    }

    /// Sets a structure of fixed size.
    ///
    /// - Parameters:
    ///   - structure: Which one.
    ///   - bytes: Of exactly its size; anything else traps.
    /// - Throws: `EINVAL` when the kernel finds the contents impossible.
    package func setState(
        _ structure: StateStructure,
        _ bytes: [UInt8]
    ) throws(SystemError) {
        precondition(bytes.count == structure.byteCount)
        if structure == .specialRegisters { setTaskPriority(fromSpecialRegisters: bytes) }
        try write(structure.setRequest, bytes, structure.name)
    }

    /// Reads the FPU and vector state, `xsaveByteCount` bytes.
    ///
    /// Kernel interface: `ioctl(KVM_GET_XSAVE)`, where it is larger `KVM_GET_XSAVE2`.
    package func vectorState() throws(SystemError) -> [UInt8] {
        let isLarge = xsaveByteCount > MemoryLayout<kvm_xsave>.size
        let request = isLarge ? CLINUX_KVM_GET_XSAVE2 : CLINUX_KVM_GET_XSAVE
        return try read(request, byteCount: xsaveByteCount, "xsave")
    }

    /// Sets the FPU and vector state.
    ///
    /// - Parameter bytes: Exactly `xsaveByteCount`; anything else traps.
    /// - Throws: `EINVAL` for features that this processor or this guest's CPUID does not have.
    ///
    /// Kernel interface: `ioctl(KVM_SET_XSAVE)`.
    package func setVectorState(_ bytes: [UInt8]) throws(SystemError) {
        precondition(bytes.count == xsaveByteCount)
        try write(CLINUX_KVM_SET_XSAVE, bytes, "xsave")
    }

    /// Reads `KVM_MP_STATE_*`: running, halted and so on.
    package func multiprocessingState() throws(SystemError) -> UInt32 {
        var state = kvm_mp_state()
        try checked(
            unsafe clinux_ioctl(descriptor.rawValue, CLINUX_KVM_GET_MP_STATE, &state),
            "ioctl(KVM_GET_MP_STATE)"
        )
        return state.mp_state
    }

    /// Sets `KVM_MP_STATE_*`.
    ///
    /// Without an in-kernel interrupt controller only "runnable" is taken.
    package func setMultiprocessingState(_ value: UInt32) throws(SystemError) {
        var state = kvm_mp_state(mp_state: value)
        try checked(
            unsafe clinux_ioctl(descriptor.rawValue, CLINUX_KVM_SET_MP_STATE, &state),
            "ioctl(KVM_SET_MP_STATE)"
        )
    }

    /// Reads model-specific registers in one call.
    ///
    /// - Returns: How many were read; the register at that position cannot be.
    package func read(_ registers: inout ModelSpecificRegisters) throws(SystemError) -> Int {
        let fd = descriptor.rawValue
        let result = unsafe registers.words.withUnsafeMutableBytes { buffer in
            unsafe clinux_ioctl(fd, CLINUX_KVM_GET_MSRS, buffer.baseAddress)
        }
        return Int(try checked(result, "ioctl(KVM_GET_MSRS)"))
    }

    /// Sets model-specific registers in one call, in order.
    ///
    /// - Returns: How many were set; the register at that position was refused.
    package func set(_ registers: ModelSpecificRegisters) throws(SystemError) -> Int {
        let fd = descriptor.rawValue
        let result = unsafe registers.words.withUnsafeBytes { buffer in
            // SAFETY: the kernel only reads what a SET call points to.
            unsafe clinux_ioctl(
                fd,
                CLINUX_KVM_SET_MSRS,
                UnsafeMutableRawPointer(mutating: buffer.baseAddress)
            )
        }
        return Int(try checked(result, "ioctl(KVM_SET_MSRS)"))
    }

    /// Sets what CPUID answers, before the vCPU first runs.
    ///
    /// - Parameter entries: At most 256.
    /// - Throws: `E2BIG` for more, `EINVAL` for what the kernel finds impossible.
    ///
    /// Kernel interface: `ioctl(KVM_SET_CPUID2)`.
    package func setCPUID(_ entries: [CPUIDEntry]) throws(SystemError) {
        guard entries.count <= CPUIDTable.mostEntries else {
            throw SystemError(code: E2BIG, operation: "ioctl(KVM_SET_CPUID2)")
        }
        try write(CLINUX_KVM_SET_CPUID2, CPUIDTable(entries).bytes, "cpuid2")
    }

    private func setTaskPriority(fromSpecialRegisters bytes: [UInt8]) {
        guard let offset = MemoryLayout<kvm_sregs>.offset(of: \.cr8) else { return }
        let field = bytes.dropFirst(offset).prefix(8)
        setTaskPriority(field.reversed().reduce(0) { $0 << 8 | UInt64($1) })
    }

    private func read(
        _ request: UInt,
        byteCount: Int,
        _ name: String
    ) throws(SystemError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: byteCount)
        let fd = descriptor.rawValue
        let result = unsafe bytes.withUnsafeMutableBytes { buffer in
            unsafe clinux_ioctl(fd, request, buffer.baseAddress)
        }
        try checked(result, "reading \(name) of vCPU \(index)")
        return bytes
    }

    private func write(
        _ request: UInt,
        _ bytes: [UInt8],
        _ name: String
    ) throws(SystemError) {
        let fd = descriptor.rawValue
        let result = unsafe bytes.withUnsafeBytes { buffer in
            // SAFETY: the kernel only reads what a SET call points to.
            unsafe clinux_ioctl(fd, request, UnsafeMutableRawPointer(mutating: buffer.baseAddress))
        }
        try checked(result, "setting \(name) of vCPU \(index)")
    }
}
