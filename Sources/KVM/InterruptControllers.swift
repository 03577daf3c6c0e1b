// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc
package import LinuxSystem

/// A device that the kernel itself emulates for a whole VM, with the size of its state.
///
/// Its bytes are the kernel's ABI and travel to another host as they are.
package enum ControllerStructure: CaseIterable, Sendable {
    /// The first of the two old interrupt controllers (8259).
    case primaryPIC
    /// The second.
    case secondaryPIC
    /// The I/O APIC.
    case ioapic
    /// The interval timer (8254).
    case pit

    /// Its exact size: for the chips that of their structure without its number.
    package var byteCount: Int {
        switch self {
        case .primaryPIC, .secondaryPIC, .ioapic: Self.chipByteCount
        case .pit: MemoryLayout<kvm_pit_state2>.size
        }
    }

    /// The kernel's name, as a person looks it up.
    package var name: String {
        switch self {
        case .primaryPIC: "pic_primary"
        case .secondaryPIC: "pic_secondary"
        case .ioapic: "ioapic"
        case .pit: "pit"
        }
    }

    fileprivate static let chipHeaderByteCount = 8
    fileprivate static let chipByteCount =
        MemoryLayout<kvm_irqchip>.size - chipHeaderByteCount

    /// The number of an interrupt controller; nil for the timer, which has a call of its own.
    fileprivate var chip: UInt8? {
        switch self {
        case .primaryPIC: UInt8(KVM_IRQCHIP_PIC_MASTER)
        case .secondaryPIC: UInt8(KVM_IRQCHIP_PIC_SLAVE)
        case .ioapic: UInt8(KVM_IRQCHIP_IOAPIC)
        case .pit: nil
        }
    }
}

/// Interrupt controllers and the interval timer, all in the kernel.
extension VirtualMachine {
    /// Creates two PICs, an I/O APIC, a local APIC for each vCPU to come, and an interval timer
    /// with a mute speaker.
    ///
    /// Before the first vCPU. From then on HLT and waiting for start-up are the kernel's.
    ///
    /// Kernel interface: `ioctl(KVM_CREATE_IRQCHIP)`, `ioctl(KVM_CREATE_PIT2)`.
    package func createInterruptControllers() throws(SystemError) {
        try checked(
            clinux_ioctl_value(descriptor.rawValue, CLINUX_KVM_CREATE_IRQCHIP, 0),
            "ioctl(KVM_CREATE_IRQCHIP)"
        )
        var configuration = kvm_pit_config()
        configuration.flags = UInt32(KVM_PIT_SPEAKER_DUMMY)
        try checked(
            unsafe clinux_ioctl(descriptor.rawValue, CLINUX_KVM_CREATE_PIT2, &configuration),
            "ioctl(KVM_CREATE_PIT2)"
        )
    }

    /// Sets the level of an interrupt line of the PICs and of the I/O APIC.
    ///
    /// - Parameters:
    ///   - line: 0 to 15.
    ///   - level: Whether it is raised.
    ///
    /// Kernel interface: `ioctl(KVM_IRQ_LINE)`.
    package func setInterruptLine(_ line: UInt32, _ level: LineLevel) {
        precondition(line < 16, "no such line")
        var request = kvm_irq_level()
        request.irq = line
        request.level = level.rawValue
        // A line that exists, of controllers that exist: there is nothing to refuse.
        _ = unsafe clinux_ioctl(descriptor.rawValue, CLINUX_KVM_IRQ_LINE, &request)
    }

    /// Reads the state of a controller; `EINVAL` or `ENXIO` where there is none.
    ///
    /// Kernel interface: `ioctl(KVM_GET_IRQCHIP)`, `ioctl(KVM_GET_PIT2)`.
    package func state(_ structure: ControllerStructure) throws(SystemError) -> [UInt8] {
        let header = structure.chip.map { Self.chipHeader($0) } ?? []
        var bytes = header + [UInt8](repeating: 0, count: structure.byteCount)
        let fd = descriptor.rawValue
        let request = structure.chip == nil ? CLINUX_KVM_GET_PIT2 : CLINUX_KVM_GET_IRQCHIP
        let result = unsafe bytes.withUnsafeMutableBytes { buffer in
            unsafe clinux_ioctl(fd, request, buffer.baseAddress)
        }
        try checked(result, "reading \(structure.name)")
        return Array(bytes.dropFirst(header.count))
    }

    /// Sets the state of a controller.
    ///
    /// - Parameters:
    ///   - structure: Which one.
    ///   - bytes: Of exactly its size; anything else traps.
    /// - Throws: What the kernel finds impossible.
    ///
    /// Kernel interface: `ioctl(KVM_SET_IRQCHIP)`, `ioctl(KVM_SET_PIT2)`.
    package func setState(
        _ structure: ControllerStructure,
        _ bytes: [UInt8]
    ) throws(SystemError) {
        precondition(bytes.count == structure.byteCount)
        let whole = (structure.chip.map { Self.chipHeader($0) } ?? []) + bytes
        let fd = descriptor.rawValue
        let request = structure.chip == nil ? CLINUX_KVM_SET_PIT2 : CLINUX_KVM_SET_IRQCHIP
        let result = unsafe whole.withUnsafeBytes { buffer in
            // SAFETY: the kernel only reads what a SET call points to.
            unsafe clinux_ioctl(fd, request, UnsafeMutableRawPointer(mutating: buffer.baseAddress))
        }
        try checked(result, "setting \(structure.name)")
    }

    private static func chipHeader(_ chip: UInt8) -> [UInt8] {
        [chip] + [UInt8](repeating: 0, count: ControllerStructure.chipHeaderByteCount - 1)
    }
}
