// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
internal import KVM
internal import LinuxSystem
package import MigrationWire

/// Everything KVM holds for a machine that is not guest memory.
extension Machine {
    /// Reads the state of a parked machine.
    ///
    /// Part of the downtime: some ten system calls for each vCPU, and as many allocations.
    package func saveState() throws(MachineError) -> WireMachineState {
        precondition(isParked, "state is saved while no vCPU runs")
        var state = WireMachineState()
        do {
            state.clock = WireClockState(try virtualMachine.clock())
            state.vcpus.reserveCapacity(vcpus.count)
            for vcpu in vcpus { state.vcpus.append(try save(vcpu.virtualCPU)) }
            if kind.hasControllers { try saveControllers(to: &state) }
            guest.save(to: &state)
        } catch {
            throw MachineError(error)
        }
        return state
    }

    /// Puts saved state into a parked machine that was built from the source's description.
    ///
    /// - Parameter state: May come from a hostile peer: sizes, counts and register numbers are
    ///   checked before anything changes.
    /// - Throws: ``MachineError/state(_:)`` when nothing was changed. After any other error KVM
    ///   has refused contents, and the machine is useless.
    package func loadState(_ state: WireMachineState) throws(MachineError) {
        precondition(isParked, "state is loaded while no vCPU runs")
        do {
            try check(state)
        } catch {
            throw .state(error)
        }
        do {
            // The VM's clock before any vCPU's, which are derived from it: where real time came
            // with it, KVM adds the time of the stop. And before any vCPU runs: a guest that saw
            // an old clock may wait for minutes.
            try virtualMachine.setClock(VirtualMachineClock(state.clock))
            let time = TimeRestore(
                state,
                clock: try virtualMachine.clock(),
                kilohertz: description.tscKhz,
                rate: tscRate
            )
            for (vcpu, saved) in zip(vcpus, state.vcpus) {
                try load(saved, time, into: vcpu.virtualCPU)
            }
            // Behind the vCPUs: what is pending in a controller goes on to their local APICs.
            if kind.hasControllers { try loadControllers(state.devices.controllers) }
            guest.load(state)
        } catch {
            throw MachineError(error)
        }
    }

    /// A state of this machine's shape, to rehearse with what is done to one: of zeros, but for what
    /// devices hold, which they say at any time.
    package var blankState: WireMachineState {
        var vcpu = WireVCPUState()
        for structure in StateStructure.allCases {
            vcpu[structure] = Data(count: structure.byteCount)
        }
        vcpu.xsave = Data(count: vcpus[0].virtualCPU.xsaveByteCount)
        vcpu.lapic = Data(count: kind.hasControllers ? VirtualCPU.localAPICByteCount : 0)
        vcpu.tscKhz = description.tscKhz
        vcpu.msrs = savedRegisters.template.indices.dropFirst().map { index in
            var register = WireModelSpecificRegister()
            register.index = index
            return register
        }
        var state = WireMachineState()
        state.clock = WireClockState()
        state.vcpus = Array(repeating: vcpu, count: vcpus.count)
        if kind.hasControllers {
            for structure in ControllerStructure.allCases {
                state.devices.controllers[structure] = Data(count: structure.byteCount)
            }
        }
        guest.save(to: &state)
        return state
    }

    /// Looks at all of a state, as `loadState(_:)` does before it changes anything.
    package func check(_ state: WireMachineState) throws(StateDefect) {
        let check = StateCheck(
            vcpuCount: vcpus.count,
            xsaveByteCount: vcpus[0].virtualCPU.xsaveByteCount,
            tscKilohertz: description.tscKhz,
            registers: savedRegisters,
            kind: kind
        )
        try check.check(state)
        try guest.check(state)
    }

    private func save(_ vcpu: VirtualCPU) throws -> WireVCPUState {
        var state = WireVCPUState()
        // First: to read it makes KVM act on pending INIT and SIPI, which change all the rest.
        state.mpState = try vcpu.multiprocessingState()
        for structure in StateStructure.allCases where structure != .events {
            state[structure] = Data(try vcpu.state(structure))
        }
        state.xsave = Data(try vcpu.vectorState())
        var registers = savedRegisters.template
        let count = try vcpu.read(&registers)
        guard count == registers.count else {
            throw MachineError.registerRefused(
                vcpu: vcpu.index,
                index: registers.index(at: min(count, registers.count - 1))
            )
        }
        state.tsc = registers.value(at: 0)
        state.msrs = (1..<registers.count).map { position in
            var register = WireModelSpecificRegister()
            register.index = registers.index(at: position)
            register.value = registers.value(at: position)
            return register
        }
        if let offset = try vcpu.tscOffset() { state.tscOffset = offset }
        state.tscKhz = description.tscKhz
        if kind.hasControllers { state.lapic = Data(try vcpu.localAPIC()) }
        // Last: reading other state can still move pending events.
        state.events = Data(try vcpu.state(.events))
        return state
    }

    private func saveControllers(to state: inout WireMachineState) throws {
        state.devices.parts.append("controllers")
        for structure in ControllerStructure.allCases {
            state.devices.controllers[structure] = Data(try virtualMachine.state(structure))
        }
    }

    private func loadControllers(_ state: WireControllerState) throws {
        for structure in ControllerStructure.allCases {
            try virtualMachine.setState(structure, [UInt8](state[structure]))
        }
    }

    private func load(
        _ state: WireVCPUState,
        _ time: TimeRestore,
        into vcpu: VirtualCPU
    ) throws {
        // CPUID was set when the vCPU was made: KVM checks all the rest against it.
        try vcpu.setMultiprocessingState(state.mpState)
        // Registers before events: to set them clears pending exceptions.
        try vcpu.setState(.registers, [UInt8](state.regs))
        // Control registers and EFER before what depends on the mode they make.
        try vcpu.setState(.specialRegisters, [UInt8](state.sregs))
        try vcpu.setState(.extendedControlRegisters, [UInt8](state.xcrs))
        var vectors = [UInt8](state.xsave)
        if vectors.count < vcpu.xsaveByteCount {
            vectors += repeatElement(0, count: vcpu.xsaveByteCount - vectors.count)
        }
        try vcpu.setVectorState(vectors)
        try vcpu.setState(.debugRegisters, [UInt8](state.debugRegisters))
        // Needs the APIC base of the special registers; the register of its timer, below, needs it.
        if kind.hasControllers { try vcpu.setLocalAPIC([UInt8](state.lapic)) }
        try setRegisters(state, time, vcpu)
        try vcpu.setState(.events, [UInt8](state.events))
        // Keeps the guest's watchdogs quiet about the stop.
        try vcpu.noteClockWasStopped()
    }

    /// Sets the TSC, and then all other model-specific registers.
    private func setRegisters(
        _ state: WireVCPUState,
        _ time: TimeRestore,
        _ vcpu: VirtualCPU
    ) throws {
        var registers = ModelSpecificRegisters(indices: [])
        switch time {
        case .offsets(let offsets):
            try vcpu.setTSCOffset(offsets[vcpu.index])
        case .values:
            registers.append(index: ModelSpecificRegisters.tscIndex, value: state.tsc)
        }
        for register in state.msrs {
            registers.append(index: register.index, value: register.value)
        }
        let count = try vcpu.set(registers)
        guard count == registers.count else {
            throw MachineError.registerRefused(
                vcpu: vcpu.index,
                index: registers.index(at: min(count, registers.count - 1))
            )
        }
    }
}
