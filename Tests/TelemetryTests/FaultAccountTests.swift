// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Telemetry
import Testing

@Suite struct FaultAccountTests {
    /// A fetched page whose stages take 1, 2, 3, 4 and 5 µs, `start` µs after zero.
    private func span(_ kind: FaultKind = .exit, start: UInt64 = 1000) -> FaultSpan {
        func at(_ offset: UInt64) -> MonotonicTime {
            MonotonicTime(nanoseconds: (start + offset) * 1000)
        }
        var span = FaultSpan(kind, seen: at(0))
        span.sent = at(1)
        span.served = at(3)
        span.received = at(6)
        span.installed = at(10)
        span.ended = at(15)
        return span
    }

    /// An account of these faults of one vCPU.
    private func account(
        of spans: [FaultSpan],
        clocks: ClockRelation = .same,
        vCPU: Int? = 0
    ) -> FaultAccount {
        var account = FaultAccount(clocks: clocks)
        account.add(spans, vCPU: vCPU)
        return account
    }

    @Test func `each stage is the time since the stage before it`() throws {
        let account = account(of: [span()])
        let times = try #require(account.times.first)
        #expect(account.times.count == 1)
        #expect(times.kind == .exit)
        #expect(times.latency.maximumNanoseconds == 15_000)
        #expect(times.sent?.maximumNanoseconds == 1000)
        #expect(times.served?.maximumNanoseconds == 2000)
        #expect(times.received?.maximumNanoseconds == 3000)
        #expect(times.installed?.maximumNanoseconds == 4000)
        #expect(times.reentered?.maximumNanoseconds == 5000)
    }

    @Test func `another host's clock is not compared, and its stage is in the next one`() throws {
        let account = account(of: [span()], clocks: .unrelated)
        let times = try #require(account.times.first)
        #expect(times.served == nil)
        #expect(times.received?.maximumNanoseconds == 5000)
    }

    @Test func `a served instant out of order costs no stage less than nothing`() throws {
        var late = span()
        late.served = MonotonicTime(nanoseconds: 1)
        let account = account(of: [late])
        let times = try #require(account.times.first)
        #expect(times.served?.maximumNanoseconds == 1)
        #expect(times.received?.maximumNanoseconds == 5000)
    }

    @Test func `userfaults have no re-entry, and waits no stages`() throws {
        var account = FaultAccount(clocks: .same)
        account.add([span(.userfault)], vCPU: nil)
        account.add([span(.exitAwaited, start: 2000)], vCPU: 1)
        #expect(account.times.map(\.kind) == [.exitAwaited, .userfault])
        #expect(account.times[0].sent == nil)
        #expect(account.times[1].reentered == nil)
        #expect(account.times[1].installed?.count == 1)
        // What awaited another's request is no request.
        #expect(account.requested.count == 1)
        #expect(account.first.map(\.vCPU) == [nil, 1])
    }

    @Test func `the series counts faults by when they ended`() throws {
        var account = FaultAccount(clocks: .same)
        account.add([span(start: 500)], vCPU: 0)
        account.beginSeries(at: MonotonicTime(nanoseconds: 1_000_000))
        let starts: [UInt64] = [1000, 1001, 25_000, 10_980, 10_990]
        account.add(starts.map { span(start: $0) }, vCPU: 0)
        // Beyond the end of all series.
        account.add([span(start: 121_000_000)], vCPU: 0)
        let series = try #require(account.series)
        #expect(series.count == [3, 1, 1])
        #expect(series.blockedMicroseconds == [45, 15, 15])
    }

    @Test func `of many faults at once all count, and a sample tells their stages`() throws {
        let ring = FaultSpanRing()
        func record(_ starts: Range<UInt64>) {
            for start in starts {
                var span = span(start: start)
                if !ring.wantsStages {
                    (span.sent, span.served, span.received, span.installed) = (nil, nil, nil, nil)
                }
                ring.record(span)
            }
        }
        record(0..<10_600)
        #expect(ring.count == 10_600)
        var account = FaultAccount(clocks: .same)
        account.take(from: ring, vCPU: 0)
        #expect(ring.count == 0)
        let times = try #require(account.times.first)
        #expect(times.latency.count == 10_600)
        // A thousand, and one of sixteen of the others.
        #expect(times.installed?.count == 1600)
        #expect(times.reentered?.count == 1600)
        record(0..<900)
        account.take(from: ring, vCPU: 0)
        #expect(account.times.first?.latency.count == 11_500)
        #expect(account.times.first?.installed?.count == 2500)
    }

    @Test func `the first faults of all vCPUs are kept one by one, whoever is asked first`() {
        var account = FaultAccount(clocks: .same)
        // vCPU 0 has the even instants, vCPU 1 the odd ones, and each in two goes.
        let rings = [FaultSpanRing(), FaultSpanRing()]
        for go in 0..<2 {
            for vCPU in 0..<2 {
                let starts = (go * 300..<(go + 1) * 300).map { UInt64($0 * 2 + vCPU) }
                account.add(starts.map { span(start: $0) }, vCPU: vCPU, to: rings[vCPU])
            }
        }
        #expect(account.first.map { $0.seen.nanoseconds / 1000 } == (0..<256).map { UInt64($0) })
        #expect(account.first.map(\.vCPU) == (0..<256).map { $0 % 2 })
    }

    @Test func `a ring hands over in order what it has room for, and counts the rest`() {
        let ring = FaultSpanRing()
        for start in 0..<20_000 { ring.record(span(start: UInt64(start))) }
        var seen: [UInt64] = []
        ring.drain { seen.append($1.seen.nanoseconds / 1000) }
        #expect(seen == (0..<16_384).map { UInt64($0) })
        #expect(ring.lostCount == 20_000 - 16_384)
        ring.record(span(start: 77))
        ring.drain { seen.append($1.seen.nanoseconds / 1000) }
        #expect(seen.count == 16_385)
        #expect(seen.last == 77)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a ring is filled and drained at the same time`() throws {
        let ring = FaultSpanRing()
        let threads = ThreadGroup()
        let count: UInt64 = 200_000
        try threads.start("record") { [self] in
            for start in 0..<count {
                ring.record(span(start: start))
            }
        }
        var last: UInt64?
        var taken = 0
        while taken + ring.lostCount < Int(count) {
            ring.drain { _, span in
                let start = span.seen.nanoseconds / 1000
                #expect(last.map { $0 < start } ?? true)
                #expect(span.ended.nanoseconds == span.seen.nanoseconds + 15_000)
                last = start
                taken += 1
            }
        }
        threads.joinAll()
    }
}

extension FaultAccount {
    /// Adds faults by way of a ring, as everybody does.
    fileprivate mutating func add(
        _ spans: [FaultSpan],
        vCPU: Int?,
        to ring: FaultSpanRing = FaultSpanRing()
    ) {
        for span in spans { ring.record(span) }
        take(from: ring, vCPU: vCPU)
    }
}
