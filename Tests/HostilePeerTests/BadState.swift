// SPDX-License-Identifier: Apache-2.0

import Foundation
import MigrationWire

/// A saved state that a destination has to refuse.
struct BadState: Sendable {
    let spoil: @Sendable (inout WireState) -> Void
    let news: String

    init(_ news: String, _ spoil: @escaping @Sendable (inout WireState) -> Void) {
        self.spoil = spoil
        self.news = news
    }

    static let all: [BadState] = [
        .init("'heartbeats'") { $0.heartbeats = [] },
        .init("'heartbeats'") { $0.heartbeats += $0.heartbeats },
        .init("it has 0 vCPUs, the machine has 2") { $0.machine.vcpus = [] },
        .init("it has 4 vCPUs, the machine has 2") { $0.machine.vcpus += $0.machine.vcpus },
        .init("the VM's clock is missing") { $0.machine.clearClock() },
        .init("'regs' of vCPU 1 has 143 bytes") { $0.machine.vcpus[1].regs.removeLast() },
        .init("of vCPU 0 has 0 bytes") { $0.machine.vcpus[0].sregs = Data() },
        .init("of vCPU 0 has 1000 bytes") { $0.machine.vcpus[0].xcrs = Data(count: 1000) },
        .init("of vCPU 0 has 1 bytes") { $0.machine.vcpus[0].events = Data(count: 1) },
        .init("of vCPU 1 has 16384 bytes") {
            $0.machine.vcpus[1].debugRegisters = Data(count: 1 << 14)
        },
        .init("'xsave' of vCPU 0 has 16384 bytes") {
            $0.machine.vcpus[0].xsave = Data(count: 1 << 14)
        },
        .init("'xsave' of vCPU 0 has 100 bytes") { $0.machine.vcpus[0].xsave = Data(count: 100) },
        .init("'mp_state' of vCPU 0") { $0.machine.vcpus[0].mpState = 4_000_000_000 },
        .init("'tsc_khz' of vCPU 0") { $0.machine.vcpus[0].tscKhz ^= 1 },
        .init("which is unknown here") { $0.machine.vcpus[0].msrs[0].index = 0xDEAD_BEEF },
        .init("twice") { state in
            state.machine.vcpus[1].msrs += state.machine.vcpus[1].msrs
        },
        // KVM itself refuses these.
        .init("apus-destination: ") {
            $0.machine.vcpus[0].sregs = Data(
                repeating: 0xFF,
                count: $0.machine.vcpus[0].sregs.count
            )
        },
        .init("apus-destination: ") {
            $0.machine.vcpus[0].xsave = Data(
                repeating: 0xFF,
                count: $0.machine.vcpus[0].xsave.count
            )
        },
    ]
}
