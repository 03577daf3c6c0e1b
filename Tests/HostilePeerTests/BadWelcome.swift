// SPDX-License-Identifier: Apache-2.0

import Foundation
import MigrationWire
import SwiftProtobuf

/// A welcome that a destination has to refuse.
struct BadWelcome: Sendable {
    let spoil: @Sendable (inout WireWelcome) -> Void
    let news: String
    let code: Int32

    init(_ news: String, code: Int32 = 10, _ spoil: @escaping @Sendable (inout WireWelcome) -> Void)
    {
        self.spoil = spoil
        self.news = news
        self.code = code
    }

    private static func region(_ address: UInt64, _ pages: UInt64) -> WireMemoryRegion {
        .with {
            $0.guestAddress = address
            $0.pageCount = pages
        }
    }

    static let all: [BadWelcome] = [
        .init("source 16384 bytes, destination 4096 bytes") { $0.pageByteCount = 16384 },
        .init("'session_key'") { $0.sessionKey = Data(count: 15) },
        .init("'session_key'") { $0.sessionKey = Data(count: 1 << 14) },
        .init("'guest_identity'") { $0.guestIdentity = Data() },
        .init("the source refused the urgent lane 0") { $0.sessionKey = Data(count: 16) },
        .init("memory layout is impossible") { $0.machine.memory = [] },
        .init("memory layout is impossible") { $0.machine.memory[0].pageCount = 0 },
        .init("memory layout is impossible") { $0.machine.memory[0].pageCount = 1 << 63 },
        .init("memory layout is impossible") { $0.machine.memory[0].pageCount = .max },
        .init("memory layout is impossible") { $0.machine.memory[0].pageCount = 1 << 31 },
        .init("memory layout is impossible") { $0.machine.memory[0].guestAddress = 0x123 },
        .init("memory layout is impossible") { $0.machine.memory[0].guestAddress = 1 << 63 },
        .init("memory layout is impossible") {
            $0.machine.memory = [region(0, 4096), region(0x80_0000, 4096)]
        },
        .init("memory layout is impossible") {
            $0.machine.memory = [region(1 << 32, 16), region(0, 16)]
        },
        .init("memory layout is impossible") {
            $0.machine.memory = (0..<17).map { region($0 << 20, 1) }
        },
        .init("memory layout is impossible") {
            $0.machine.memory = [region(0, 1 << 29), region(1 << 44, 1 << 30)]
        },
        .init("too little memory", code: 69) { $0.machine.memory[0].pageCount = 1 << 29 },
        .init("memory") { $0.machine.memory = [region(0xFFFF_FFFF_F000, 4096)] },
        .init("memory") { $0.machine.memory[0].pageCount = 1 },
        .init("0 vCPUs are not possible") { $0.machine.vcpuCount = 0 },
        .init("65 vCPUs are not possible") { $0.machine.vcpuCount = 65 },
        .init("4294967295 vCPUs are not possible") { $0.machine.vcpuCount = .max },
        .init("there is no guest 'runner'") { $0.machine.guest = "runner" },
        .init("a device 'gpu', which is unknown here") { $0.machine.devices = ["gpu"] },
        .init("there is no guest '") {
            $0.machine.guest = String(repeating: "\u{1B}[2J", count: 9)
        },
        .init("CPUID leaves are not possible") {
            $0.machine.cpuid = Array(repeating: WireCPUIDEntry(), count: 300)
        },
        .init("processor features that this host lacks") {
            for index in $0.machine.cpuid.indices where $0.machine.cpuid[index].function == 1 {
                $0.machine.cpuid[index].ecx = .max
            }
        },
        .init("TSC runs at 1 kHz") { $0.machine.tscKhz = 1 },
    ]
}
