// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Testing

@Suite struct FutexLockTests {
    /// Changed by whoever has the lock, in steps that others would see.
    private final class Shared: @unchecked Sendable {
        // Sendable: only touched under the lock.
        var count = 0
        var isInside = false
        var collisions = 0
    }

    @Test(.timeLimit(.minutes(1)), arguments: [1, 2, 8])
    func `one thread at a time is inside`(threadCount: Int) throws {
        let lock = FutexLock()
        let shared = Shared()
        let threads = ThreadGroup()
        let rounds = 20_000
        for number in 0..<threadCount {
            try threads.start("lock-\(number)") {
                for round in 0..<rounds {
                    lock.withLock {
                        if shared.isInside { shared.collisions += 1 }
                        shared.isInside = true
                        // Now and then the others come while it is taken.
                        if round % 64 == 0 { yieldProcessor() }
                        shared.count += 1
                        shared.isInside = false
                    }
                }
            }
        }
        threads.joinAll()
        #expect(shared.count == threadCount * rounds)
        #expect(shared.collisions == 0)
    }

    @Test func `an error leaves the lock free`() {
        let lock = FutexLock()
        let error = SystemError(code: 5, operation: "nothing")
        #expect(throws: error) {
            try lock.withLock { () throws(SystemError) in throw error }
        }
        #expect(lock.withLock { 7 } == 7)
    }
}
