// SPDX-License-Identifier: Apache-2.0

import MigrationWire
import Testing

@Suite struct PhaseTests {
    private static let allowed: [Phase: Set<Phase>] = [
        .setup: [.precopy, .switchover, .cancelled],
        .precopy: [.switchover, .cancelled],
        .switchover: [.postcopy, .cancelled],
        .postcopy: [.completed, .failed],
        .completed: [],
        .cancelled: [],
        .failed: [],
    ]

    @Test(arguments: Phase.allCases, Phase.allCases)
    func `a phase is followed by those in the table and by no other`(from: Phase, to: Phase) {
        #expect(from.canBecome(to) == Self.allowed[from]?.contains(to))
    }

    @Test func `the table knows every phase`() {
        #expect(Phase.allCases.count == Self.allowed.count)
    }

    @Test func `a committed phase never leads to one in which the source owns the guest`() {
        for from in Phase.allCases where from.isCommitted {
            for to in Phase.allCases where from.canBecome(to) { #expect(to.isCommitted) }
        }
    }

    @Test func `only switchover to postcopy passes the commit point`() {
        for from in Phase.allCases where !from.isCommitted {
            for to in Phase.allCases where from.canBecome(to) && to.isCommitted {
                #expect(from == .switchover && to == .postcopy)
            }
        }
    }

    @Test func `a whole migration goes through its phases`() {
        var phase = Phase.setup
        phase.become(.switchover)
        phase.become(.postcopy)
        phase.become(.completed)
        #expect(phase == .completed)
    }

    @Test(.timeLimit(.minutes(1)))
    func `to complete without having run is a trap`() async {
        await #expect(processExitsWith: .failure) {
            var phase = Phase.setup
            phase.become(.completed)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `to cancel behind the commit point is a trap`() async {
        await #expect(processExitsWith: .failure) {
            var phase = Phase.setup
            phase.become(.switchover)
            phase.become(.postcopy)
            phase.become(.cancelled)
        }
    }
}
