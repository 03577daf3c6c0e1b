// SPDX-License-Identifier: Apache-2.0

internal import KVM
internal import LinuxSystem
internal import MigrationWire

/// What the machine has to know of the guest it runs: the devices that answer it, and what they
/// hold.
///
/// There is one type for each ``GuestKind``. Accesses are answered on the threads of vCPUs,
/// several at once; none may trap, whatever the guest does, or wait, unless a guest stops a device
/// that is at work.
protocol Guest: AnyObject, Sendable {
    /// Answers an access to a port, a read by ``VirtualCPU/answer(_:)``.
    func answer(_ access: PortAccess, of vcpu: VirtualCPU) -> AccessOutcome

    /// Answers an access to an address without memory, likewise.
    func answer(_ access: DeviceAccess, of vcpu: VirtualCPU) -> AccessOutcome

    /// Starts threads of devices, when those of vCPUs are started.
    func start() throws

    /// Devices may change what the guest sees, from now on.
    func resume()

    /// Drains devices: none changes anything by itself any more. vCPUs still run.
    ///
    /// - Parameter deadline: When it has to be over.
    /// - Returns: Whether it is; if not, what is under way still may change something.
    func pause(until deadline: MonotonicTime) -> Bool

    /// Guest memory may be lost from now on: no device acts on anything more that it reads.
    func giveUpMemory()

    /// Ends threads of devices; calling it again does nothing.
    func stop()

    /// Adds what its devices hold; of one moment only while paused.
    func save(to state: inout WireMachineState)

    /// Looks at what a peer says that they hold, before anything is loaded.
    func check(_ state: WireMachineState) throws(StateDefect)

    /// Takes over what devices held; checked, and paused.
    func load(_ state: WireMachineState)
}

/// What came of an access of a guest to a device.
enum AccessOutcome: Equatable {
    /// It was answered.
    case answered
    /// It was a sign of life; what the guest has done so far, if it says so, wraps.
    case heartbeat(iterations: UInt32?)
    /// It ended the guest.
    case ended(GuestEnding)
    /// There is no such device.
    case refused
}

/// Guests without devices that hold anything.
extension Guest {
    func start() throws {}
    func resume() {}
    func pause(until deadline: MonotonicTime) -> Bool { true }
    func giveUpMemory() {}
    func stop() {}
    func save(to state: inout WireMachineState) {}
    func check(_ state: WireMachineState) throws(StateDefect) {}
    func load(_ state: WireMachineState) {}
}
