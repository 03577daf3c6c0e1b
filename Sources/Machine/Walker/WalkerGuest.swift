// SPDX-License-Identifier: Apache-2.0

internal import CGuest
internal import GuestMemory
internal import KVM

/// The built-in guest: two ports, by which it says that it lives, and that its memory is not what
/// it wrote.
final class WalkerGuest: Guest {
    let layout: WalkerLayout
    private let memory: GuestRAM

    init(_ memory: GuestRAM, vCPUCount: Int) throws(MachineError) {
        layout = try WalkerLayout(memory.layout, vCPUCount: vCPUCount)
        self.memory = memory
    }

    func answer(_ access: PortAccess, of vcpu: VirtualCPU) -> AccessOutcome {
        switch access.port {
        case UInt16(CGUEST_PORT_HEARTBEAT): .heartbeat(iterations: access.value)
        case UInt16(CGUEST_PORT_CORRUPTION):
            .ended(.corruption(WalkerBlock(memory, vcpu.index).corruption))
        default: .refused
        }
    }

    func answer(_ access: DeviceAccess, of vcpu: VirtualCPU) -> AccessOutcome { .refused }
}
