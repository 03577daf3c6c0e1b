// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct HostPageMapTests {
    @Test func `a host page is complete with its last page, whatever order they come in`() throws {
        let map = try HostPageMap(pageCount: 8, pagesPerHostPage: 4)
        #expect(!map.fill(PageRange(first: PageIndex(5), count: 2)))
        #expect(!map.fill(PageRange(first: PageIndex(0), count: 3)))
        #expect(!map.fill(PageRange(first: PageIndex(7), count: 1)))
        #expect(map.fill(PageRange(first: PageIndex(4), count: 1)))
        #expect(map.fill(PageRange(first: PageIndex(3), count: 1)))
    }

    @Test func `one request is for all pages of a host page`() throws {
        let map = try HostPageMap(pageCount: 1024, pagesPerHostPage: 512)
        #expect(map.markRequested(PageIndex(700)))
        #expect(!map.markRequested(PageIndex(700)))
        #expect(!map.markRequested(PageIndex(512)))
        #expect(map.markRequested(PageIndex(511)))
        // A request does not count as a page.
        #expect(!map.fill(PageRange(first: PageIndex(512), count: 511)))
        #expect(map.fill(PageRange(first: PageIndex(1023), count: 1)))
    }

    @Test func `threads that fill host pages together learn of each once, and see all of it`()
        throws
    {
        let (hostPages, perPage, threads) = (64, 64, 4)
        let map = try HostPageMap(pageCount: hostPages * perPage, pagesPerHostPage: perPage)
        let plain = PlainWords(count: hostPages * perPage)
        let complete = Atomic<Int>(0)
        let torn = Atomic<Int>(0)
        try crowd(threads) { thread in
            for number in stride(from: thread, to: hostPages * perPage, by: threads) {
                if number % 5 == 0 { _ = map.markRequested(PageIndex(number)) }
                // Not atomic: fill publishes it.
                unsafe plain.words[number] = number
                guard map.fill(PageRange(first: PageIndex(number), count: 1)) else { continue }
                complete.wrappingAdd(1, ordering: .relaxed)
                let first = number / perPage * perPage
                for other in first..<first + perPage where unsafe plain.words[other] != other {
                    torn.wrappingAdd(1, ordering: .relaxed)
                }
            }
        }
        #expect(complete.load(ordering: .relaxed) == hostPages)
        #expect(torn.load(ordering: .relaxed) == 0)
    }

    @Test func `pages outside are a trap`() async {
        await #expect(processExitsWith: .failure) {
            _ = try HostPageMap(pageCount: 8, pagesPerHostPage: 4).markRequested(PageIndex(8))
        }
        await #expect(processExitsWith: .failure) {
            _ = try HostPageMap(pageCount: 9, pagesPerHostPage: 4)
        }
    }
}

/// Numbers that threads write and read without any order of their own.
@safe private final class PlainWords: @unchecked Sendable {
    // Sendable: the map under test orders the accesses, which is what the test is about.
    let words: UnsafeMutablePointer<Int>

    init(count: Int) {
        unsafe words = .allocate(capacity: count)
        unsafe words.initialize(repeating: -1, count: count)
    }

    deinit { unsafe words.deallocate() }
}
