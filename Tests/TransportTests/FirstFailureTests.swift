// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import MigrationWire
import Testing
import Transport

@Suite struct FirstFailureTests {
    @Test func `the first failure wins, and is signalled`() throws {
        let failure = try FirstFailure()
        #expect(failure.error == nil)
        #expect(try !isSignalled(failure))
        failure.report(.aborted("first"))
        failure.report(.stopped)
        #expect(failure.error == .aborted("first"))
        #expect(try isSignalled(failure))
    }

    @Test func `after the end nothing is a failure any more`() throws {
        let failure = try FirstFailure()
        failure.close()
        failure.report(.stopped)
        #expect(failure.error == nil)
        #expect(try !isSignalled(failure))
    }

    @Test func `the end does not hide a failure that came before`() throws {
        let failure = try FirstFailure()
        failure.report(.stopped)
        failure.close()
        #expect(failure.error == .stopped)
    }

    @Test(.timeLimit(.minutes(1)))
    func `of many threads one wins`() throws {
        let failure = try FirstFailure()
        let threads = ThreadGroup()
        for number in 0..<8 {
            try threads.start("test-\(number)") {
                for _ in 0..<100 { failure.report(.aborted("\(number)")) }
            }
        }
        _ = try waitUntilReadable([failure.event.rawDescriptor], timeout: .seconds(20))
        let seen = failure.error
        threads.joinAll()
        #expect(seen != nil)
        #expect(failure.error == seen)
    }

    private func isSignalled(_ failure: FirstFailure) throws -> Bool {
        try waitUntilReadable([failure.event.rawDescriptor], timeout: .zero) == [true]
    }
}
