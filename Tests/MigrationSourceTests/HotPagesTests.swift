// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import MigrationSource
import Testing

struct HotPagesTests {
    /// One look at a guest of 4096 pages that has written these.
    private func look(_ hot: inout HotPages, _ pages: some Sequence<Int>) throws {
        let written = try PageBitmap(pageCount: 4096)
        for page in pages { _ = written.insert(PageIndex(page)) }
        hot.look(at: written)
    }

    @Test func `are those seen again, the most often seen first`() throws {
        var hot = HotPages()
        #expect(hot.pages.isEmpty)
        try look(&hot, [7, 63, 64, 4095])
        #expect(hot.pages.isEmpty)
        try look(&hot, [7, 64, 100])
        try look(&hot, [64, 4095, 200])
        #expect(hot.pages.map(\.rawValue) == [64, 7, 4095])
    }

    @Test func `are none of a guest that walks through its memory`() throws {
        var hot = HotPages()
        for step in 0..<4 { try look(&hot, step * 1000..<step * 1000 + 1000) }
        #expect(hot.pages.isEmpty)
    }

    @Test func `are not more than are sent in a moment`() throws {
        var hot = HotPages()
        try look(&hot, 0..<4096)
        try look(&hot, 0..<4096)
        try look(&hot, [4000])
        #expect(hot.pages.count == HotPages.mostPages)
        #expect(hot.pages.first == PageIndex(4000))
    }
}
