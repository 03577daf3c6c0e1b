// SPDX-License-Identifier: Apache-2.0

internal import CGuest
internal import Devices
internal import KVM
internal import LinuxSystem
internal import MigrationWire

/// What a Linux kernel expects of a PC beside memory, processors and interrupt controllers: a
/// serial port, and ports to power off and reset by; and virtio devices.
///
/// All other ports and addresses answer as on a bus with nobody on it: reads are all ones, writes
/// go nowhere.
final class LinuxGuest: Guest {
    private let serial: SerialLine
    private let power = Locked(PowerPorts())
    private let bus: VirtioBus

    init(
        _ virtualMachine: VirtualMachine,
        console: ConsoleTarget,
        bus: VirtioBus
    ) throws(SystemError) {
        self.bus = bus
        serial = try SerialLine(virtualMachine, console: console)
    }

    func answer(_ access: PortAccess, of vcpu: VirtualCPU) -> AccessOutcome {
        if access.port == UInt16(CGUEST_PORT_HEARTBEAT) && access.direction == .output {
            return .heartbeat(iterations: nil)
        }
        for position in 0..<access.count {
            switch access.direction {
            case .output:
                let value = vcpu.element(position, of: access)
                if let ending = write(value, access) { return .ended(ending) }
            case .input:
                vcpu.answer(read(access), element: position, of: access)
            }
        }
        return .answered
    }

    func answer(_ access: DeviceAccess, of vcpu: VirtualCPU) -> AccessOutcome {
        if bus.answer(access, of: vcpu) { return .answered }
        if !access.isWrite { vcpu.answer(.max) }
        return .answered
    }

    func start() throws {
        try serial.start()
        try bus.start()
    }

    func resume() {
        serial.takeInput(true)
        bus.resume()
    }

    func pause(until deadline: MonotonicTime) -> Bool {
        serial.takeInput(false)
        return bus.pause(until: deadline)
    }

    func giveUpMemory() { bus.giveUpMemory() }

    func stop() {
        bus.stop()
        serial.stop()
    }

    func save(to state: inout WireMachineState) {
        state.devices.parts += [Self.serialPart, Self.powerPart]
        state.devices.serial = WireSerialPortState(serial.state)
        state.devices.power = WirePowerPortsState(power.withLock { $0.state })
        state.devices.virtio = bus.states
        if !state.devices.virtio.isEmpty { state.devices.parts.append(Self.virtioPart) }
    }

    func check(_ state: WireMachineState) throws(StateDefect) {
        // Looking and taking are the same for these; the values are dropped here.
        _ = try SerialState(state.devices.serial)
        _ = try PowerState(state.devices.power)
        try bus.check(state.devices.virtio)
    }

    func load(_ state: WireMachineState) {
        guard let serialState = try? SerialState(state.devices.serial),
            let powerState = try? PowerState(state.devices.power)
        else { return }
        serial.load(serialState)
        power.withLock { $0 = PowerPorts(powerState) }
        bus.load(state.devices.virtio)
    }

    static let serialPart = "serial"
    static let powerPart = "power"
    static let virtioPart = "virtio"

    private func write(_ value: UInt32, _ access: PortAccess) -> GuestEnding? {
        if let register = Self.serialRegister(access.port) {
            serial.write(UInt8(truncatingIfNeeded: value), to: register)
            return nil
        }
        guard PowerPorts.has(access.port) else { return nil }
        let request = power.withLock { ports in
            ports.write(value, byteCount: access.byteCount, to: access.port)
        }
        return switch request {
        case .powerOff: .poweredOff
        case .reset: .reset
        case nil: nil
        }
    }

    private func read(_ access: PortAccess) -> UInt32 {
        if let register = Self.serialRegister(access.port) {
            return UInt32(serial.read(register)) | 0xFFFF_FF00
        }
        guard PowerPorts.has(access.port) else { return .max }
        return power.withLock { $0.read(byteCount: access.byteCount, from: access.port) }
    }

    private static func serialRegister(_ port: UInt16) -> UInt16? {
        let register = port &- SerialLine.port
        return register < SerialPort.registerCount ? register : nil
    }
}
