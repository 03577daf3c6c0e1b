// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import TestSupport
import Testing

@Suite struct HostTests {
    @Test func `facts about this host are plausible`() throws {
        #expect(Host.pageByteCount >= 4096 && Host.pageByteCount.nonzeroBitCount == 1)
        #expect(Host.bootIdentity.count == 36)
        #expect(Host.bootIdentity == Host.bootIdentity)
        let available = try #require(Host.availableMemoryBytes)
        #expect(available > 16 << 20 && available < 1 << 50)
    }

    @Test func `processors that may be used are those of the calling thread`() throws {
        // The kernel's own list, for example "0-3,8".
        let status = try #require(Host.contents(of: "/proc/thread-self/status"))
        let lines = status.split(separator: "\n")
        let line = try #require(lines.first { $0.hasPrefix("Cpus_allowed_list:") })
        let ranges = try #require(line.split(separator: "\t").last).split(separator: ",")
        let counts = ranges.map { range in
            let ends = range.split(separator: "-").compactMap { Int($0) }
            return (ends.last ?? 0) - (ends.first ?? 0) + 1
        }
        #expect(Host.usableProcessors == counts.reduce(0, +))
    }

    @Test func `peak residency grows with what was resident`() throws {
        let before = Host.peakResidentBytes
        #expect(before > 1 << 20)
        let size = before + 64 << 20
        let mapping = try Mapping(.anonymous, byteCount: size / 4096 * 4096)
        for offset in stride(from: 0, to: min(mapping.byteCount, 96 << 20), by: 4096) {
            unsafe mapping.base.storeBytes(of: 1, toByteOffset: offset, as: UInt8.self)
        }
        #expect(Host.peakResidentBytes >= before)
    }

    @Test func `a file is read up to a limit`() {
        #expect(Host.contents(of: "/proc/self/status", limit: 5) == "Name:")
        #expect(Host.contents(of: "/dev/zero", limit: 3) == "\0\0\0")
        #expect(Host.contents(of: "/no/such/file") == nil)
        #expect(Host.contents(of: "/proc") == "")
        #expect(Host.contents(of: "/dev/null") == "")
    }
}

@Suite struct MonotonicTimeTests {
    @Test func `time goes forward`() {
        let first = MonotonicTime.now
        let second = MonotonicTime.now
        #expect(second >= first)
        #expect(second.nanoseconds(since: first) < 10_000_000_000)
        #expect(first.nanoseconds(since: first.advanced(by: .seconds(1))) == 0)
        #expect(first.advanced(by: .milliseconds(5)).nanoseconds(since: first) == 5_000_000)
    }

    @Test func `CPU time of this process grows with work`() {
        let before = processCPUNanoseconds()
        var random = SeededGenerator(seed: 1)
        var sum: UInt64 = 0
        for _ in 0..<200_000 { sum &+= random.next() }
        #expect(processCPUNanoseconds() > before, "\(sum)")
    }

    @Test(
        arguments: [
            (Duration.zero, 0, 0), (.nanoseconds(1), 1, 1), (.milliseconds(1), 1_000_000, 1),
            (.nanoseconds(1_000_001), 1_000_001, 2), (.seconds(3), 3_000_000_000, 3000),
            (.seconds(-1), 0, 0), (.nanoseconds(-1), 0, 0),
            (.seconds(4_000_000), 4_000_000_000_000_000, .max),
        ] as [(Duration, UInt64, CInt)]
    )
    func `a duration becomes nanoseconds and milliseconds`(
        duration: Duration,
        nanoseconds: UInt64,
        milliseconds: CInt
    ) {
        #expect(duration.wholeNanoseconds == nanoseconds)
        #expect(duration.pollMilliseconds == milliseconds)
    }

    @Test func `a duration longer than anybody waits is the longest there is`() {
        let longest = Duration.seconds(Int64.max)
        #expect(longest.wholeNanoseconds == .max)
        #expect(longest.pollMilliseconds == .max)
        let later = MonotonicTime.now.advanced(by: longest)
        #expect(later > MonotonicTime.now)
    }
}
