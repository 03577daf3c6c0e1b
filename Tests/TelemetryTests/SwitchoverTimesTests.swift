// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Telemetry
import Testing

@Suite struct SwitchoverTimesTests {
    @Test func `the parts of the downtime add up to it`() {
        let times = SwitchoverTimes(Samples.timeline, clocks: .same)
        #expect(times.downtimeMicroseconds == 4210)
        let parts = [
            times.saveMicroseconds, times.sendMicroseconds, times.wireMicroseconds,
            times.loadMicroseconds, times.startMicroseconds,
        ]
        #expect(parts == [310, 50, 120, 1600, 2130])
        #expect(parts.reduce(0) { $0 + ($1 ?? 0) } == 4210)
    }

    @Test func `quiescing is not part of the downtime`() {
        let times = SwitchoverTimes(Samples.timeline, clocks: .same)
        #expect(times.quiesceMicroseconds == 180)
    }

    @Test func `unrelated clocks leave no interval between the sides`() {
        let times = SwitchoverTimes(Samples.timeline, clocks: .unrelated)
        #expect(!times.clocksComparable)
        #expect(times.downtimeMicroseconds == nil)
        #expect(times.wireMicroseconds == nil)
        #expect(times.saveMicroseconds == 310)
        #expect(times.loadMicroseconds == 1600)
    }

    @Test func `steps that did not happen leave no interval`() {
        var timeline = Timeline()
        timeline.mark(\.pause, at: Samples.instant(microseconds: 5))
        let times = SwitchoverTimes(timeline, clocks: .same)
        #expect(times.downtimeMicroseconds == nil)
        #expect(times.saveMicroseconds == nil)
    }

    @Test func `an interval is rounded to the nearest microsecond and never negative`() {
        var timeline = Timeline()
        timeline.mark(\.pause, at: .init(nanoseconds: 1000))
        timeline.mark(\.run, at: .init(nanoseconds: 2500))
        #expect(timeline.microseconds(from: \.pause, to: \.run) == 2)
        #expect(timeline.microseconds(from: \.run, to: \.pause) == 0)
    }
}
