// SPDX-License-Identifier: Apache-2.0

internal import Devices
internal import KVM
internal import LinuxSystem
internal import MigrationWire

/// The virtio devices of a machine: each has a page of registers in the hole below 4 GiB and an
/// interrupt line, both by its number.
///
/// Linux is told of them on its command line (`virtio_mmio.device=`): no table is needed for that,
/// and any kernel with the driver takes it, built in or as a module.
final class VirtioBus: Sendable {
    private let memory: MachineMemory
    private let devices: [VirtioDevice]

    /// First register of the first device.
    static let address: UInt64 = 0xD000_0000
    /// Lines that no other device of a PC has here.
    private static let lines: [UInt32] = [5, 6, 7, 10, 11, 14, 15, 12]
    /// Most devices.
    static var mostDevices: Int { lines.count }

    /// Opens what devices are connected to and builds them.
    ///
    /// - Parameters:
    ///   - assembly: Of all devices.
    ///   - virtualMachine: Whose interrupt lines they have.
    ///   - memory: The guest's.
    /// - Throws: ``MachineError``, and ``SystemError`` of what cannot be opened.
    init(
        _ assembly: VirtioAssembly,
        _ virtualMachine: VirtualMachine,
        _ memory: MachineMemory
    ) throws {
        self.memory = memory
        devices = try assembly.descriptions.indices.map { index in
            let work = try EventFD()
            // Spares the way out to this process; where KVM cannot do it, the access comes here.
            try? virtualMachine.signal(
                work,
                onWritesTo: Self.address(of: index) + VirtioRegisters.notifyOffset
            )
            let wiring = VirtioDevice.Wiring(
                virtualMachine: virtualMachine,
                memory: memory,
                interruptLine: Self.lines[index],
                name: "\(assembly.descriptions[index].name)-\(index)",
                work: work,
                note: assembly.choices.note
            )
            return try assembly.device(index, wiring)
        }
    }

    /// What the kernel is to be told, before anything else on its command line.
    static func commandLine(deviceCount: Int) -> String {
        (0..<deviceCount).map { index in
            "virtio_mmio.device=4K@0x\(String(address(of: index), radix: 16)):\(lines[index]) "
        }
        .joined()
    }

    private static func address(of index: Int) -> UInt64 {
        address + UInt64(index) * VirtioRegisters.byteCount
    }

    /// Answers an access of a vCPU; false where no device is.
    func answer(_ access: DeviceAccess, of vcpu: VirtualCPU) -> Bool {
        guard access.address >= Self.address else { return false }
        let (number, offset) = (access.address - Self.address)
            .quotientAndRemainder(dividingBy: VirtioRegisters.byteCount)
        guard number < UInt64(devices.count) else { return false }
        let device = devices[Int(number)]
        if !access.isWrite {
            vcpu.answer(device.read(byteCount: access.byteCount, at: offset))
        } else if access.byteCount == 4 {
            device.write(UInt32(truncatingIfNeeded: access.value), at: offset)
        }
        return true
    }

    func start() throws(SystemError) {
        for device in devices { try device.start() }
    }

    func resume() {
        for device in devices { device.resume() }
    }

    /// Drains all devices: disks before the others, which go on while a slow one flushes.
    ///
    /// - Returns: Whether they are in time.
    func pause(until deadline: MonotonicTime) -> Bool {
        let disks = devices.filter { $0.identity.kind == .block }
        let others = devices.filter { $0.identity.kind != .block }
        return [disks, others].allSatisfy { devices in
            for device in devices { device.beginPause() }
            return devices.allSatisfy { $0.isDrained(until: deadline) }
        }
    }

    /// Guest memory is not to be trusted from now on: see ``MachineMemory/close()``.
    func giveUpMemory() {
        memory.close()
    }

    func stop() {
        for device in devices { device.stop() }
    }

    /// What devices hold, in order.
    var states: [WireVirtioState] { devices.map { WireVirtioState($0.state) } }

    /// Looks at what a peer says that they hold.
    func check(_ states: [WireVirtioState]) throws(StateDefect) {
        // None is no state of a device that was described: its driver would wait for ever for one
        // that has forgotten it.
        guard states.count == devices.count else {
            throw .virtioCount(found: states.count, expected: devices.count)
        }
        for (state, device) in zip(states, devices) {
            _ = try VirtioState(state, of: device.identity)
        }
    }

    /// Takes over what they held; checked.
    func load(_ states: [WireVirtioState]) {
        for (state, device) in zip(states, devices) {
            guard let state = try? VirtioState(state, of: device.identity) else { continue }
            device.load(state)
        }
    }
}
