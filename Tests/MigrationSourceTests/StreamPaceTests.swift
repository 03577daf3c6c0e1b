// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import MigrationSource
import MigrationWire
import Testing

struct StreamPaceTests {
    private func instant(_ microseconds: UInt64) -> MonotonicTime {
        MonotonicTime(nanoseconds: 1_000_000_000 + microseconds * 1000)
    }

    @Test func `without requests the stream never rests`() {
        var pace = StreamPace()
        pace.worked(from: instant(0), to: instant(100))
        #expect(pace.rest(at: instant(100), lastRequest: nil, resumed: nil) == nil)
        #expect(!StreamPace.isPressed(at: instant(100), lastRequest: nil))
    }

    @Test func `while requests come it rests for a multiple of its work`() {
        var pace = StreamPace()
        pace.worked(from: instant(0), to: instant(100))
        let rest = pace.rest(at: instant(100), lastRequest: instant(100), resumed: nil)
        #expect(rest == .microseconds(100 * Int64(StreamPace.restFactor)))
    }

    @Test func `requests that never cease do not stop it`() {
        var pace = StreamPace()
        var now: UInt64 = 0
        var batches = 0
        while now < 1_000_000 {
            if let rest = pace.rest(at: instant(now), lastRequest: instant(now), resumed: nil) {
                now += max(1, rest.wholeNanoseconds / 1000)
            } else {
                pace.worked(from: instant(now), to: instant(now + 50))
                now += 50
                batches += 1
            }
        }
        #expect(batches >= 1_000_000 / (51 * (Int(StreamPace.restFactor) + 1)))
    }

    @Test func `a moment after the last request it goes on`() {
        var pace = StreamPace()
        pace.worked(from: instant(0), to: instant(900_000))
        let quiet = StreamPace.quiet.wholeNanoseconds / 1000
        let rest = pace.rest(at: instant(900_000), lastRequest: instant(900_000), resumed: nil)
        #expect(rest.map { $0 <= StreamPace.quiet } == true)
        #expect(
            pace.rest(at: instant(900_000 + quiet), lastRequest: instant(900_000), resumed: nil)
                == nil
        )
    }

    @Test func `a batch that waited for room is not paid for with a long rest`() {
        var pace = StreamPace()
        pace.worked(from: instant(0), to: instant(5_000_000))
        let longest = StreamPace.longestRest.wholeNanoseconds / 1000
        let later = 5_000_000 + longest
        #expect(pace.rest(at: instant(later), lastRequest: instant(later), resumed: nil) == nil)
    }

    @Test func `when the guest has just gone on it makes way as long as requests come`() {
        var pace = StreamPace()
        var now: UInt64 = 0
        while let rest = pace.rest(
            at: instant(now),
            lastRequest: instant(now),
            resumed: instant(0)
        ) {
            #expect(rest > .zero)
            now += max(1, min(500, rest.wholeNanoseconds / 1000))
        }
        #expect(now == Phase.settling.wholeNanoseconds / 1000)
        pace.worked(from: instant(now), to: instant(now + 100))
        let rest = pace.rest(
            at: instant(now + 100),
            lastRequest: instant(now + 100),
            resumed: instant(0)
        )
        #expect(rest == .microseconds(100 * Int64(StreamPace.restFactor)))
    }

    @Test func `when the guest has just gone on and asks for nothing it goes on soon`() {
        let pace = StreamPace()
        let quiet = StreamPace.settlingQuiet
        let rest = pace.rest(at: instant(0), lastRequest: nil, resumed: instant(0))
        #expect(rest == quiet)
        let later = quiet.wholeNanoseconds / 1000
        #expect(pace.rest(at: instant(later), lastRequest: nil, resumed: instant(0)) == nil)
        // A request of the time before, such as of loading the state, is no sign.
        #expect(
            pace.rest(at: instant(later), lastRequest: instant(0), resumed: instant(0)) == nil
        )
    }
}
