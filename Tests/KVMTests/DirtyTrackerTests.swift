// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import KVM
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
}
