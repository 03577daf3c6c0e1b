// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import KVM
import LinuxSystem
import TestSupport
import Testing

@Suite(.enabled(if: HostFacts.runsKVMTests, "needs a working /dev/kvm"), .timeLimit(.minutes(1)))
struct `Tracking of writes` {
    // mov [0x200000], eax; mov [0x2ff000], eax; hlt; mov [0x200000], eax; mov eax, [0x210000]; hlt
    private static let program: [UInt8] = [
        0x89, 0x04, 0x25, 0x00, 0x00, 0x20, 0x00, 0x89, 0x04, 0x25, 0x00, 0xF0, 0x2F, 0x00, 0xF4,
        0x89, 0x04, 0x25, 0x00, 0x00, 0x20, 0x00, 0x8B, 0x04, 0x25, 0x00, 0x00, 0x21, 0x00, 0xF4,
    ]

    private func written(_ memory: GuestRAM) -> [Int] {
        (0..<memory.written.wordCount).flatMap { word in
            let bits = memory.written.takeBits(ofWord: word)
            return (0..<64).filter { bits & 1 << UInt64($0) != 0 }.map { word * 64 + $0 }
        }.filter { $0 >= 0x200 }
    }

    @Test(arguments: DirtyTracker.Method.allCases)
    func `names the pages that were written, each time anew`(
        method: DirtyTracker.Method
    ) throws {
        let guest = try SmallGuest(program: Self.program, tracking: method)
        let tracker = try #require(guest.tracker)
        #expect(tracker.method == method)
        guest.memory.noteWritten(PageRange(first: PageIndex(0x300), count: 1))
        try tracker.start()
        try tracker.collect()
        #expect(written(guest.memory) == [], "what was written before does not count")
        #expect(try guest.virtualCPU.run() == .halt)
        guest.memory.noteWritten(PageRange(first: PageIndex(0x3FF), count: 1))
        try tracker.collect()
        #expect(written(guest.memory) == [0x200, 0x2FF, 0x3FF])
        #expect(try guest.virtualCPU.run() == .halt)
        try tracker.collect()
        #expect(written(guest.memory) == [0x200], "a page that is only read is not written")
        try tracker.stop()
        try tracker.stop()
    }

    // Writes to 3000 pages from 0x1000000 on, none of them near the one before, so that it takes a
    // while to collect them; hlt; inc [0x1000000]; hlt; and once more.
    private static let scatteringProgram: [UInt8] = [
        0x31, 0xDB, 0xB9, 0xB8, 0x0B, 0x00, 0x00, 0x89, 0x8B, 0x00, 0x00, 0x00, 0x01, 0x81, 0xC3,
        0x00, 0x10, 0x04, 0x00, 0x81, 0xE3, 0x00, 0xF0, 0xFF, 0x00, 0xFF, 0xC9, 0x75, 0xEA, 0xF4,
        0xFF, 0x04, 0x25, 0x00, 0x00, 0x00, 0x01, 0xF4, 0xEB, 0xD8,
    ]

    @Test(arguments: DirtyTracker.Method.allCases)
    func `names a page again that is written as soon as it was named`(
        method: DirtyTracker.Method
    ) throws {
        let guest = try SmallGuest(
            program: Self.scatteringProgram,
            memoryBytes: 32 << 20,
            tracking: method
        )
        let tracker = try #require(guest.tracker)
        try tracker.start()
        for round in 0..<50 {
            #expect(try guest.virtualCPU.run() == .halt)
            let collector = ThreadGroup()
            try collector.start("collect") { try? tracker.collect() }
            // As the thread that steers does, while that of a vCPU collects.
            let deadline = MonotonicTime.now.advanced(by: .seconds(5))
            while guest.memory.written.takeBits(ofWord: 0x1000 / 64) & 1 == 0,
                MonotonicTime.now < deadline
            {}
            #expect(try guest.virtualCPU.run() == .halt)
            collector.joinAll()
            try tracker.collect()
            #expect(written(guest.memory).contains(0x1000), "lost in round \(round)")
        }
        try tracker.stop()
    }
}
