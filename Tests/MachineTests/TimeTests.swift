// SPDX-License-Identifier: Apache-2.0

import KVM
import Machine
import MigrationWire
import Testing

struct `Time that is restored` {
    private static let kilohertz: UInt32 = 2_000_000
    private static let second: UInt64 = 2_000_000_000  // ticks

    /// A source whose guest clock is at 50 s and whose host TSC is at 1000 s.
    private func saved(offsets: [UInt64]) -> WireMachineState {
        var state = WireMachineState()
        state.clock.clockNs = 50_000_000_000
        state.clock.flags = 2 | 4 | 8  // stable, with real time and host TSC
        state.clock.realtimeNs = 1
        state.clock.hostTsc = 1000 * Self.second
        for offset in offsets {
            var vcpu = WireVCPUState()
            vcpu.tscOffset = offset
            vcpu.tsc = 1000 * Self.second &+ offset
            state.vcpus.append(vcpu)
        }
        return state
    }

    /// A destination whose guest clock shows three seconds more, and whose host TSC is at 7 s.
    private let clock = VirtualMachineClock(
        nanoseconds: 53_000_000_000,
        flags: 2 | 4 | 8,
        realtimeNanoseconds: 1,
        hostTSC: 7 * second
    )

    private func restore(_ state: WireMachineState, rate: TSCRate = .host) -> TimeRestore {
        TimeRestore(state, clock: clock, kilohertz: Self.kilohertz, rate: rate)
    }

    @Test func `shows the guest's TSC the stop, whatever the hosts' TSCs are`() {
        // At the source the guest's TSC was at 990 and 991 seconds.
        let state = saved(offsets: [0 &- 10 * Self.second, 0 &- 9 * Self.second])
        guard case .offsets(let offsets) = restore(state) else {
            Issue.record("no offsets")
            return
        }
        #expect(offsets.map { $0 &+ 7 * Self.second } == [993 * Self.second, 994 * Self.second])
    }

    @Test func `falls back to values where a host cannot relate its TSC to real time`() {
        var state = saved(offsets: [5])
        state.clock.flags = 0
        #expect(restore(state) == .values)
        state = saved(offsets: [5])
        state.vcpus[0].clearTscOffset()
        #expect(restore(state) == .values)
        #expect(restore(saved(offsets: [5]), rate: .scaled) == .values)
    }

    @Test func `falls back to values where the source's TSC was scaled`() {
        var state = saved(offsets: [5])
        state.vcpus[0].tsc *= 2
        #expect(restore(state) == .values)
    }

    @Test func `withstands absurd numbers`() {
        var state = saved(offsets: [.max])
        state.clock.clockNs = .max
        #expect(restore(state) == .values)
        state.clock.clockNs = 0
        state.clock.hostTsc = .max
        state.vcpus[0].tsc = .max - 1
        guard case .offsets = restore(state) else {
            Issue.record("no offsets")
            return
        }
    }

    @Test func `converts ticks and nanoseconds without overflow`() {
        #expect(Ticks.nanoseconds(2_000_000, kilohertz: 2_000_000) == 1_000_000)
        #expect(Ticks.count(inNanoseconds: 1_000_000, kilohertz: 2_000_000) == 2_000_000)
        #expect(Ticks.nanoseconds(.max, kilohertz: 1) == .max)
        #expect(Ticks.count(inNanoseconds: .max, kilohertz: .max) == .max)
        #expect(Ticks.nanoseconds(1, kilohertz: 0) == .max)
    }
}
