// SPDX-License-Identifier: Apache-2.0

import CLinux
import CSyscallDelay
import GuestMemory
import LinuxSystem
import Machine
import MigrationDestination
import MigrationWire
import Synchronization
import Telemetry
import TestSupport
import Testing
import Transport

/// A delay that somebody else causes shows in the stage where it was, and in no other.
@Suite(.serialized, .timeLimit(.minutes(2)), .enabled(if: HostFacts.runsMigrationTests))
struct StageTests {
    private static let delay = Duration.milliseconds(10)
    private static let microseconds = UInt32(10_000)

    // MARK: Inside a fault

    @Test(arguments: FaultStage.allCases)
    func `ten milliseconds in a stage of a fault are ten milliseconds of that stage`(
        late: FaultStage
    ) throws {
        let memory = try MovingMemory(byteCount: 4 << 20, .anonymous, laneCount: 1) { lane, side in
            switch (late, side) {
            case (.sent, .destination), (.received, .source):
                LateLane(lane: lane, sending: Self.delay)
            case (.served, .source): LateLane(lane: lane, receiving: Self.delay)
            default: lane
            }
        }
        defer { memory.end() }
        let ring = FaultSpanRing()
        let server = VCPUFaultServer.make(
            for: 1,
            memory.incoming,
            on: memory.urgentLanes,
            makeRing: { _ in ring }
        )[0]
        let served = Atomic<Int>(0)
        let fetching = ThreadGroup()
        try fetching.start("fetch") {
            if late == .installed {
                let request = UInt32(truncatingIfNeeded: CLINUX_UFFDIO_COPY)
                guard csyscall_delay(Int(CSYSCALL_IOCTL), request, Self.microseconds) == 0 else {
                    return
                }
            }
            for number in 0..<20 {
                // Contents, not zeros, which are installed by another request.
                guard server.serve(UInt64(number * 7 + 1) << 12) else { return }
                if late == .reentered { FutexWord(0).wait(while: 0, timeout: Self.delay) }
                server.reenters()
                served.wrappingAdd(1, ordering: .relaxed)
            }
        }
        fetching.joinAll()
        #expect(served.load(ordering: .relaxed) == 20)
        var account = FaultAccount(clocks: .same)
        account.take(from: ring, vCPU: 0)
        let times = try #require(account.times.first { $0.kind == .exit })
        #expect(times.latency.count == 20)
        for stage in FaultStage.allCases {
            let found = try #require(times.summary(of: stage))
            #expect(found.count == 20)
            if stage == late {
                #expect(found.p50Nanoseconds >= 10_000_000, "\(stage)")
            } else {
                #expect(found.p50Nanoseconds < 5_000_000, "\(stage) while \(late) is late")
            }
        }
        #expect(times.latency.p50Nanoseconds >= 10_000_000)
    }

    // MARK: Inside the downtime

    /// Parts of the switchover, and how each is made late.
    enum Part: String, CaseIterable, Sendable {
        case quiesce, save, send, wire, load, start

        var fault: LaneFault? {
            // Messages of the source: welcome, state, run. The destination reads a length, and then
            // a body, for each of them.
            switch self {
            case .send: LaneFault(kind: .delay, side: .source, lane: .control, message: 1)
            case .wire:
                LaneFault(kind: .lateReceipt, side: .destination, lane: .control, message: 3)
            case .start: LaneFault(kind: .delay, side: .source, lane: .control, message: 2)
            case .quiesce, .save, .load: nil
            }
        }

        /// What the source's thread does late.
        var sourceCall: (number: Int, request: UInt32)? {
            switch self {
            case .quiesce: (Int(CSYSCALL_TGKILL), 0)
            case .save: (Int(CSYSCALL_IOCTL), UInt32(truncatingIfNeeded: CLINUX_KVM_GET_CLOCK))
            case .send, .wire, .load, .start: nil
            }
        }

        func isLate(in times: SwitchoverTimes) -> Bool {
            (microseconds(of: times) ?? 0) >= 10_000
        }

        func microseconds(of times: SwitchoverTimes) -> UInt64? {
            switch self {
            case .quiesce: times.quiesceMicroseconds
            case .save: times.saveMicroseconds
            case .send: times.sendMicroseconds
            case .wire: times.wireMicroseconds
            case .load: times.loadMicroseconds
            case .start: times.startMicroseconds
            }
        }
    }

    @Test(arguments: Part.allCases)
    func `ten milliseconds in a part of the downtime are ten milliseconds of that part`(
        late: Part
    ) throws {
        var found = try switchover(with: late)
        // On a machine with other things to do another part may be late by itself, hardly thrice.
        for _ in 0..<2 where Part.allCases.contains(where: { $0 != late && $0.isLate(in: found) }) {
            found = try switchover(with: late)
        }
        for part in Part.allCases {
            let time = try #require(part.microseconds(of: found))
            if part == late {
                #expect(time >= 10_000, "\(part)")
            } else {
                #expect(time < 10_000, "\(part) while \(late) is late")
            }
        }
        let downtime = try #require(found.downtimeMicroseconds)
        #expect(late == .quiesce || downtime >= 10_000)
    }

    private func switchover(with late: Part) throws -> SwitchoverTimes {
        // No heartbeat, so that a vCPU leaves the guest when it is kicked, and not before.
        let options = WalkerOptions(
            workingSetPages: 64,
            zeroPercent: 20,
            heartbeatInterval: .seconds(60)
        )
        let pair = try Pair(vCPUs: 1, options: options, fault: late.fault) {
            guard let call = late.sourceCall else { return }
            _ = csyscall_delay(call.number, call.request, Self.microseconds)
        }
        defer { pair.guest.stop() }
        let times = Mutex<SwitchoverTimes?>(nil)
        let running = ThreadGroup()
        try running.start("destination") {
            if late == .load {
                let request = UInt32(truncatingIfNeeded: CLINUX_KVM_SET_CLOCK)
                guard csyscall_delay(Int(CSYSCALL_IOCTL), request, Self.microseconds) == 0 else {
                    return
                }
            }
            _ = try? pair.migrate { _, report in
                times.withLock { $0 = report.switchover }
            }
        }
        running.joinAll()
        return try #require(times.withLock { $0 })
    }
}

extension FaultTimes {
    fileprivate func summary(of stage: FaultStage) -> LatencySummary? {
        switch stage {
        case .sent: sent
        case .served: served
        case .received: received
        case .installed: installed
        case .reentered: reentered
        }
    }
}
