// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Testing

@Suite struct LockedTests {
    /// Changed in steps that others would see.
    private struct Steps {
        var count = 0
        var isInside = false
        var collisions = 0
    }

    @Test(.timeLimit(.minutes(1)), arguments: [1, 2, 8])
    func `one thread at a time uses the value`(threadCount: Int) throws {
        let steps = Locked(Steps())
        let threads = ThreadGroup()
        let rounds = 20_000
        for number in 0..<threadCount {
            try threads.start("lock-\(number)") {
                for round in 0..<rounds {
                    steps.withLock { steps in
                        if steps.isInside { steps.collisions += 1 }
                        steps.isInside = true
                        // Now and then the others come while it is used.
                        if round % 64 == 0 { yieldProcessor() }
                        steps.count += 1
                        steps.isInside = false
                    }
                }
            }
        }
        threads.joinAll()
        #expect(steps.withLock { $0.count } == threadCount * rounds)
        #expect(steps.withLock { $0.collisions } == 0)
    }

    @Test func `an error leaves the value to others`() {
        let value = Locked(7)
        let error = SystemError(code: 5, operation: "nothing")
        #expect(throws: error) {
            try value.withLock { value throws(SystemError) in
                value = 8
                throw error
            }
        }
        #expect(value.withLock { $0 } == 8)
    }
}
