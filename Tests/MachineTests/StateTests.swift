// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import GuestMemory
import LinuxSystem
import Machine
import MigrationWire
import SwiftProtobuf
import TestSupport
import Testing

@Suite(.enabled(if: HostFacts.runsKVMTests, "needs a working /dev/kvm"), .timeLimit(.minutes(2)))
struct `Saved state` {
    private static let options = WalkerOptions(
        order: .random,
        workingSetPages: 21,
        randomPercent: 60,
        zeroPercent: 20
    )

    /// A walker that has run for a while, paused.
    private func pausedMachine(vCPUCount: Int = 2) throws -> Machine {
        let machine = try Guests.booted(Self.options, vCPUCount: vCPUCount)
        machine.resume()
        #expect(machine.run(passes: 2))
        _ = try machine.pause(within: .seconds(5))
        return machine
    }

    @Test(arguments: [1, 2, 4])
    func `lets a guest go on in another machine`(vCPUCount: Int) throws {
        let machine = try pausedMachine(vCPUCount: vCPUCount)
        let state = try machine.saveState()
        let twin = try Guests.twin(of: machine)
        // Through the wire's encoding, as it travels.
        let bytes: [UInt8] = try state.serializedBytes()
        try twin.loadState(WireMachineState(serializedBytes: bytes))
        let before = twin.statistics
        #expect(before == machine.statistics)
        twin.resume()
        #expect(twin.run(passes: 2))
        _ = try twin.pause(within: .seconds(5))
        #expect(twin.ending == nil)
        for (now, then) in zip(twin.statistics, before) {
            #expect(now.passes >= then.passes + 2)
            #expect(now.tscRegressions == 0)
        }
    }

    @Test func `comes out as it went in`() throws {
        let machine = try pausedMachine()
        let state = try machine.saveState()
        let twin = try Guests.twin(of: machine)
        try twin.loadState(state)
        let again = try twin.saveState()
        #expect(Self.withoutTime(again) == Self.withoutTime(state))
        for (now, then) in zip(again.vcpus, state.vcpus) { #expect(now.tsc >= then.tsc) }
        #expect(again.clock.clockNs >= state.clock.clockNs)
    }

    @Test func `does not change by being saved`() throws {
        let machine = try pausedMachine()
        let first = try machine.saveState()
        #expect(Self.withoutTime(try machine.saveState()) == Self.withoutTime(first))
    }

    @Test(arguments: Damage.allCases)
    func `is refused when it is damaged, and changes nothing`(damage: Damage) throws {
        let machine = try pausedMachine()
        let state = try machine.saveState()
        let twin = try Guests.twin(of: machine)
        let untouched = Self.withoutTime(try twin.saveState())
        var damaged = state
        damage.apply(to: &damaged)
        let error = try #require(throws: MachineError.self) { try twin.loadState(damaged) }
        guard case .state = error else {
            Issue.record("\(error)")
            return
        }
        #expect(Self.withoutTime(try twin.saveState()) == untouched)
        try twin.loadState(state)
        twin.resume()
        #expect(twin.run(passes: 1))
        #expect(twin.ending == nil)
    }

    /// What a careless or hostile peer may send.
    enum Damage: CaseIterable {
        case empty, missingVCPU, extraVCPU, missingClock
        case shortRegisters, longRegisters, shortSpecialRegisters, missingEvents
        case shortVectors, longVectors, longExtendedControlRegisters, missingDebugRegisters
        case mpState, frequency, unknownRegister, repeatedRegister, tscRegister

        func apply(to state: inout WireMachineState) {
            switch self {
            case .empty: state = WireMachineState()
            case .missingVCPU: state.vcpus.removeLast()
            case .extraVCPU: state.vcpus.append(state.vcpus[0])
            case .missingClock: state.clearClock()
            case .shortRegisters: state.vcpus[1].regs.removeLast()
            case .longRegisters: state.vcpus[1].regs.append(0)
            case .shortSpecialRegisters: state.vcpus[1].sregs.removeLast()
            case .missingEvents: state.vcpus[1].events.removeAll()
            case .shortVectors: state.vcpus[1].xsave.removeLast()
            case .longVectors: state.vcpus[1].xsave.append(Data(count: 1 << 20))
            case .longExtendedControlRegisters: state.vcpus[1].xcrs.append(0)
            case .missingDebugRegisters: state.vcpus[1].debugRegisters.removeAll()
            case .mpState: state.vcpus[1].mpState = .max
            case .frequency: state.vcpus[1].tscKhz = 1
            case .unknownRegister: state.vcpus[1].msrs[0].index = 0xDEAD_BEEF
            case .repeatedRegister: state.vcpus[1].msrs.append(state.vcpus[1].msrs[0])
            case .tscRegister: state.vcpus[1].msrs[0].index = 0x10
            }
        }
    }

    @Test func `names the pages that are touched first, whatever the registers hold`() throws {
        let machine = try pausedMachine()
        let pageCount = machine.memory.layout.pageCount
        let state = try machine.saveState()
        let pages = machine.firstPages(of: state).map(\.rawValue)
        // Tables, code and stack at the least.
        #expect(pages.count >= 4)
        #expect(Set(pages).count == pages.count)
        #expect(machine.firstPages(of: machine.blankState).count <= 1)
        // It has no system calls.
        #expect(try machine.kernelPages().isEmpty)
        // Hot pages come before those of the kernel, and none comes twice.
        let hot = [pages[0], pageCount - 1, pages[1]].map { PageIndex($0) }
        let withHot = machine.firstPages(of: state, thenHot: hot).map(\.rawValue)
        #expect(!pages.contains(pageCount - 1))
        #expect(withHot.filter { $0 != pageCount - 1 } == pages)
        #expect(withHot.contains(pageCount - 1) && withHot.last == pages.last)
        var random = SeededGenerator(seed: 11)
        var damaged = state
        for _ in 0..<200 {
            for index in damaged.vcpus.indices {
                for position in damaged.vcpus[index].sregs.indices {
                    // Long mode stays now and then: the bits of CR0 and EFER may survive.
                    guard Int.random(in: 0..<4, using: &random) == 0 else { continue }
                    damaged.vcpus[index].sregs[position] = UInt8.random(
                        in: .min ... .max,
                        using: &random
                    )
                }
            }
            let pages = machine.firstPages(of: damaged).map(\.rawValue)
            #expect(pages.allSatisfy { (0..<pageCount).contains($0) })
        }
    }

    @Test func `finds the kernel by the tables around the entry for system calls`() throws {
        let machine = try pausedMachine()
        let pageCount = machine.memory.layout.pageCount
        #expect(pageCount <= WireLimits.kernelPages)
        var state = try machine.saveState()
        let entry = try #require(state.vcpus[0].msrs.firstIndex { $0.index == 0xC000_0082 })
        // The walker's tables map all its memory by large pages; its own code will do.
        state.vcpus[0].msrs[entry].value = 0x1000
        try machine.loadState(state)
        #expect(try machine.kernelPages().map(\.rawValue).sorted() == Array(0..<pageCount))
        // Where nothing is mapped.
        state.vcpus[0].msrs[entry].value = 0x7FFF_F000_0000
        try machine.loadState(state)
        #expect(try machine.kernelPages().isEmpty)
    }

    /// Bytes that changed on their way, or of which some are missing.
    ///
    /// They are no state, or one that is refused before anything is changed, or one that KVM takes
    /// or refuses. In that last case the machine is never run, as any error ends a migration before
    /// its commit point.
    @Test func `of a corrupted stream is never loaded by half`() throws {
        let machine = try pausedMachine(vCPUCount: 1)
        let bytes: [UInt8] = try machine.saveState().serializedBytes()
        var twin = try Guests.twin(of: machine)
        var untouched = Self.withoutTime(try twin.saveState())
        var random = SeededGenerator(seed: 6)
        var refused = 0
        for _ in 0..<200 {
            var damaged = bytes
            if Bool.random(using: &random) {
                damaged.removeLast(Int.random(in: 1..<bytes.count, using: &random))
            } else {
                for _ in 0..<Int.random(in: 1...8, using: &random) {
                    damaged[Int.random(in: 0..<bytes.count, using: &random)] ^=
                        1 << UInt8.random(in: 0..<8, using: &random)
                }
            }
            guard let state = try? WireMachineState(serializedBytes: damaged) else { continue }
            do {
                try twin.loadState(state)
            } catch MachineError.state {
                refused += 1
                #expect(Self.withoutTime(try twin.saveState()) == untouched)
                continue
            } catch {}
            twin.stop()
            twin = try Guests.twin(of: machine)
            untouched = Self.withoutTime(try twin.saveState())
        }
        #expect(refused > 0)
    }

    /// A state without what goes on while a machine is paused.
    private static func withoutTime(_ state: WireMachineState) -> WireMachineState {
        var state = state
        state.clearClock()
        for index in state.vcpus.indices {
            state.vcpus[index].tsc = 0
            state.vcpus[index].clearTscOffset()
        }
        return state
    }
}
