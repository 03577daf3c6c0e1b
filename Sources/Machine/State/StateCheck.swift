// SPDX-License-Identifier: Apache-2.0

internal import KVM
internal import MigrationWire

/// Looks at all of a saved state before any of it is loaded.
///
/// It may come from a hostile peer.
struct StateCheck {
    let vcpuCount: Int
    let xsaveByteCount: Int
    let tscKilohertz: UInt32
    let registers: SavedRegisters
    let kind: GuestKind

    /// The FPU and vector state as every KVM has it; larger where a processor has more.
    private static let leastXsaveByteCount = 4096
    /// The highest `KVM_MP_STATE_*` there is.
    private static let highestMPState: UInt32 = 10

    /// - Throws: The first thing found wrong.
    func check(_ state: WireMachineState) throws(StateDefect) {
        guard state.vcpus.count == vcpuCount else {
            throw .vcpuCount(found: state.vcpus.count, expected: vcpuCount)
        }
        guard state.hasClock else { throw .missingClock }
        if let part = state.devices.parts.first(where: { !kind.knows(part: $0) }) {
            throw .unknownPart(PeerText.word(part))
        }
        if kind.hasControllers { try checkControllers(state.devices.controllers) }
        for (index, vcpu) in state.vcpus.enumerated() {
            try checkSizes(vcpu, index)
            try checkValues(vcpu, index)
            try checkRegisters(vcpu, index)
        }
    }

    private func checkSizes(_ state: WireVCPUState, _ vcpu: Int) throws(StateDefect) {
        for structure in StateStructure.allCases {
            let found = state[structure].count
            guard found == structure.byteCount else {
                throw .size(
                    vcpu: vcpu,
                    field: structure.name,
                    found: found,
                    expected: structure.byteCount
                )
            }
        }
        let apic = state.lapic.count
        let expected = kind.hasControllers ? VirtualCPU.localAPICByteCount : 0
        guard apic == expected else {
            throw .size(vcpu: vcpu, field: "lapic", found: apic, expected: expected)
        }
        // A source with fewer vector registers has less state; the rest is then zero.
        let found = state.xsave.count
        guard (Self.leastXsaveByteCount...xsaveByteCount).contains(found) else {
            throw .size(vcpu: vcpu, field: "xsave", found: found, expected: xsaveByteCount)
        }
    }

    /// Nothing can stand in for one that is missing.
    private func checkControllers(_ state: WireControllerState) throws(StateDefect) {
        for structure in ControllerStructure.allCases {
            let found = state[structure].count
            guard found == structure.byteCount else {
                throw .controllerSize(
                    field: structure.name,
                    found: found,
                    expected: structure.byteCount
                )
            }
        }
    }

    private func checkValues(_ state: WireVCPUState, _ vcpu: Int) throws(StateDefect) {
        guard state.mpState <= Self.highestMPState else {
            throw .value(vcpu: vcpu, field: "mp_state", found: UInt64(state.mpState))
        }
        guard state.tscKhz == tscKilohertz else {
            throw .value(vcpu: vcpu, field: "tsc_khz", found: UInt64(state.tscKhz))
        }
    }

    private func checkRegisters(_ state: WireVCPUState, _ vcpu: Int) throws(StateDefect) {
        var seen = [Bool](repeating: false, count: registers.template.count)
        for register in state.msrs {
            guard let position = registers.positions[register.index],
                register.index != ModelSpecificRegisters.tscIndex
            else { throw .unknownRegister(vcpu: vcpu, index: register.index) }
            guard !seen[position] else {
                throw .repeatedRegister(vcpu: vcpu, index: register.index)
            }
            seen[position] = true
        }
    }
}
