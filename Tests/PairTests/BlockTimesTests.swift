// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import MigrationDestination
import Testing

@Suite struct BlockTimesTests {
    private func at(_ nanoseconds: UInt64) -> MonotonicTime {
        MonotonicTime(nanoseconds: 1000 + nanoseconds)
    }

    @Test func `each vCPU's blocks add up, and overlap only while all are blocked`() {
        let times = BlockTimes(vCPUs: 3)
        times.begin(0, at: at(0))
        times.begin(1, at: at(10))
        times.end(0, at: at(20))
        times.begin(2, at: at(30))
        times.begin(0, at: at(40))
        times.end(1, at: at(70))
        times.end(0, at: at(80))
        times.end(2, at: at(100))
        #expect(times.perVCPU == [60, 60, 70])
        #expect(times.overlappedNanoseconds == 30)
    }

    @Test func `an end without a beginning is nothing`() {
        let times = BlockTimes(vCPUs: 1)
        times.end(0, at: at(5))
        times.begin(0, at: at(10))
        times.end(0, at: at(15))
        times.end(0, at: at(99))
        #expect(times.perVCPU == [5])
        #expect(times.overlappedNanoseconds == 5)
    }

    @Test(.timeLimit(.minutes(1)))
    func `threads that block at random never overlap longer than the shortest of them`() throws {
        let times = BlockTimes(vCPUs: 4)
        let threads = ThreadGroup()
        let start = MonotonicTime.now
        for vCPU in 0..<4 {
            try threads.start("vcpu-\(vCPU)") {
                for _ in 0..<20_000 {
                    times.begin(vCPU, at: .now)
                    times.end(vCPU, at: .now)
                }
            }
        }
        threads.joinAll()
        let all = MonotonicTime.now.nanoseconds(since: start)
        let least = times.perVCPU.min() ?? 0
        #expect(least > 0)
        #expect(times.overlappedNanoseconds <= least)
        #expect(times.perVCPU.allSatisfy { $0 <= all })
    }
}
