// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import MigrationSource
import Testing

struct PrecopyPlanTests {
    private func plan(rounds: Int, limit: Duration = .milliseconds(100)) -> PrecopyPlan {
        var plan = PrecopyPlan()
        plan.mostRounds = rounds
        plan.downtimeLimit = limit
        return plan
    }

    private func round(pages: Int, zero: Int = 0, _ duration: Duration) -> PrecopyRound {
        PrecopyRound(
            pages: pages,
            zeroPages: zero,
            wireBytes: pages * 4096,
            duration: duration,
            isPaused: false
        )
    }

    @Test func `rounds end when the rest can be sent within the limit, and not before`() {
        // 10 pages a millisecond: 1000 pages take the limit.
        let first = round(pages: 100_000, .seconds(10))
        #expect(plan(rounds: 30).decide(after: [first], dirtyPages: 1000) == .converged)
        #expect(plan(rounds: 30).decide(after: [first], dirtyPages: 1001) == .anotherRound)
    }

    @Test func `rounds end when they are spent, whatever is dirty`() {
        let slow = round(pages: 100_000, .seconds(10))
        let rounds = [slow, slow, slow]
        #expect(plan(rounds: 4).decide(after: rounds, dirtyPages: 90_000) == .anotherRound)
        #expect(plan(rounds: 3).decide(after: rounds, dirtyPages: 90_000) == .roundsSpent)
    }

    @Test func `a guest that wrote nothing has converged, though no time is allowed`() {
        let first = round(pages: 100_000, .seconds(10))
        let plan = plan(rounds: 30, limit: .zero)
        #expect(plan.decide(after: [first], dirtyPages: 0) == .converged)
        #expect(plan.decide(after: [first], dirtyPages: 1) == .anotherRound)
    }

    @Test func `a pause is as patient as rounds were fast, and no slow round prolongs it`() {
        let fast = round(pages: 100_000, .seconds(10))
        #expect(PrecopyPlan.patience(toSend: 1000, after: [fast]) == .milliseconds(400))
        let dripping = round(pages: 4096, .seconds(4096))
        #expect(PrecopyPlan.patience(toSend: 1600, after: [dripping]) == .seconds(100))
        #expect(PrecopyPlan.patience(toSend: 0, after: [dripping]) == .zero)
    }

    @Test func `pages of zeros do not make a lane look fast`() {
        let mostlyZero = round(pages: 100_000, zero: 90_000, .seconds(1))
        #expect(PrecopyPlan.time(toSend: 1000, after: [mostlyZero]) == .milliseconds(100))
    }

    @Test func `a short round, which measures the way there and back, does not count`() {
        let long = round(pages: 100_000, .seconds(10))
        let short = round(pages: 3, .milliseconds(30))
        #expect(PrecopyPlan.time(toSend: 100, after: [long, short]) == .milliseconds(10))
        // Unless there is no other.
        #expect(PrecopyPlan.time(toSend: 3, after: [short]) == .milliseconds(30))
    }

    @Test func `a lane that changes its rate is believed`() {
        let fast = round(pages: 10_000, .milliseconds(100))
        let slow = round(pages: 10_000, .seconds(1))
        #expect(PrecopyPlan.time(toSend: 10, after: [fast, slow]) == .milliseconds(1))
    }

    @Test func `no rounds at all is what a plan begins with`() {
        #expect(PrecopyPlan().mostRounds == 0)
        #expect(PrecopyPlan().remainder == .inPostcopy)
    }
}
