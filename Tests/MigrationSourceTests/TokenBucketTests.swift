// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import MigrationSource
import Testing

struct TokenBucketTests {
    private func instant(_ nanoseconds: UInt64) -> MonotonicTime {
        MonotonicTime(nanoseconds: 1_000_000_000_000 + nanoseconds)
    }

    @Test(arguments: [UInt64(1 << 20), 10 << 20, 1 << 30], [65536, 1000])
    func `over a long time exactly the cap goes out`(rate: UInt64, frame: Int) {
        var bucket = TokenBucket(bytesPerSecond: rate, at: instant(0))
        var now: UInt64 = 0
        var sent: UInt64 = 0
        while sent < 4 * rate {
            if let wait = bucket.wait(at: instant(now)) { now += wait.wholeNanoseconds }
            sent += UInt64(frame)
            bucket.pay(byteCount: frame, at: instant(now))
        }
        let seconds = Double(now) / 1_000_000_000
        #expect(abs(seconds - Double(sent) / Double(rate)) < 0.1)
    }

    @Test func `a pause earns no more than the bucket holds`() {
        var bucket = TokenBucket(bytesPerSecond: 1_000_000, at: instant(0))
        let late: UInt64 = 60_000_000_000
        #expect(bucket.wait(at: instant(late)) == nil)
        bucket.pay(byteCount: 10_000, at: instant(late))
        #expect(bucket.wait(at: instant(late)) == nil)
        bucket.pay(byteCount: 1_000, at: instant(late))
        #expect(bucket.wait(at: instant(late)) == .milliseconds(1))
    }

    @Test func `the lowest cap and the largest frame do not overflow`() {
        var bucket = TokenBucket(bytesPerSecond: 1, at: instant(0))
        bucket.pay(byteCount: 263_200, at: instant(0))
        #expect((bucket.wait(at: instant(0)) ?? .zero) > .seconds(260_000))
    }
}
