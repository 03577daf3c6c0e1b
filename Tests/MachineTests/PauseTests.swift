// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Machine
import TestSupport
import Testing

@Suite(.enabled(if: HostFacts.runsKVMTests, "needs a working /dev/kvm"), .timeLimit(.minutes(2)))
struct `A machine that is paused` {
    @Test(arguments: [0, 16])
    func `makes no progress until it is resumed`(workingSet: Int) throws {
        let machine = try Guests.booted(WalkerOptions(workingSetPages: workingSet), vCPUCount: 2)
        #expect(machine.firstRun == nil)
        let start = MonotonicTime.now
        machine.resume()
        #expect(Guests.wait { machine.heartbeats.allSatisfy { $0.count > 2 } })
        let firstRun = try #require(machine.firstRun)
        #expect(firstRun >= start)
        let asked = MonotonicTime.now
        let paused = try machine.pause(within: .seconds(5))
        #expect(paused >= asked)
        #expect(paused <= .now)

        let statistics = machine.statistics
        let heartbeats = machine.heartbeats
        FutexWord(0).wait(while: 0, timeout: .milliseconds(50))
        #expect(machine.statistics == statistics)
        #expect(machine.heartbeats == heartbeats)

        machine.resume()
        let goesOn = Guests.wait {
            zip(machine.heartbeats, heartbeats).allSatisfy { $0.count > $1.count }
        }
        #expect(goesOn)
        #expect(try #require(machine.firstRun) > paused)
    }

    @Test func `can be paused and resumed many times`() throws {
        let machine = try Guests.booted(
            WalkerOptions(order: .random, workingSetPages: 9, zeroPercent: 30),
            vCPUCount: 4
        )
        for _ in 0..<200 {
            machine.resume()
            _ = try machine.pause(within: .seconds(5))
        }
        machine.resume()
        #expect(machine.run(passes: 1))
        #expect(machine.ending == nil)
    }

    @Test func `can be paused twice and stopped twice`() throws {
        let machine = try Guests.booted(WalkerOptions(workingSetPages: 4))
        machine.resume()
        _ = try machine.pause(within: .seconds(5))
        _ = try machine.pause(within: .seconds(5))
        #expect(machine.stop() == .stopped)
        #expect(machine.stop() == .stopped)
    }

    @Test func `measures the first heartbeat from the last one elsewhere`() throws {
        let machine = try Guests.booted(WalkerOptions(workingSetPages: 0))
        let elsewhere = MonotonicTime(nanoseconds: MonotonicTime.now.nanoseconds - 700_000_000)
        machine.continueHeartbeats(
            from: [Heartbeat(count: 41, last: elsewhere, largestGapNanoseconds: 5)]
        )
        machine.resume()
        #expect(Guests.wait { machine.heartbeats[0].count >= 42 })
        #expect(machine.heartbeats[0].largestGapNanoseconds >= 700_000_000)
    }
}
