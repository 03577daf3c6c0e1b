// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import MigrationSource
import Testing

struct StrideDetectorTests {
    private let pageCount = 1 << 16

    /// All pages that a detector would have sent for some requests.
    private func prefetched(_ requests: [Int], most: Int = 16) -> [Int] {
        var detector = StrideDetector(mostPages: most, pageCount: pageCount)
        return requests.flatMap { page in
            detector.observe(PageIndex(page)).map(pages) ?? []
        }
    }

    private func pages(_ window: PrefetchWindow) -> [Int] {
        (0..<window.count).map { window[$0].rawValue }
    }

    @Test(arguments: [1, 17, -1, -17, 1024])
    func `a walk is followed from its third page on, in either direction`(stride: Int) {
        let start = 30_000
        var detector = StrideDetector(mostPages: 16, pageCount: pageCount)
        #expect(detector.observe(PageIndex(start)) == nil)
        #expect(detector.observe(PageIndex(start + stride)) == nil)
        let window = detector.observe(PageIndex(start + 2 * stride))
        #expect(
            window
                == PrefetchWindow(
                    first: PageIndex(start + 3 * stride),
                    stride: stride,
                    count: 4
                )
        )
    }

    @Test(arguments: [1, 17])
    func `no page of a walk is sent twice, and none is left out`(stride: Int) {
        let requests = (0..<200).map { 500 + $0 * stride }
        let sent = prefetched(requests)
        #expect(Set(sent).count == sent.count)
        let walked = Array(requests[3...])
        #expect(Set(walked).isSubset(of: Set(sent)))
    }

    @Test func `a walk that skips what came unasked is still followed`() {
        var detector = StrideDetector(mostPages: 16, pageCount: pageCount)
        var present: Set<Int> = []
        var requestCount = 0
        for page in stride(from: 100, to: 100 + 17 * 1000, by: 17) where !present.contains(page) {
            requestCount += 1
            if let window = detector.observe(PageIndex(page)) {
                present.formUnion(pages(window))
            }
        }
        // Once at its full size a window of 16 pages saves 8 requests of 9 at least.
        #expect(requestCount < 1000 / 8)
    }

    @Test(arguments: [UInt64(1), 2, 3, 4, 5])
    func `requests in no order have little sent in vain`(seed: UInt64) {
        var state = seed
        let requests = (0..<4000).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % 16384
        }
        #expect(prefetched(requests).count < requests.count / 50, "seed \(seed)")
    }

    @Test func `four walks at once are told apart`() {
        var requests: [Int] = []
        for step in 0..<50 {
            for walk in 0..<4 { requests.append(walk * 10_000 + step * (walk + 1)) }
        }
        let sent = Set(prefetched(requests))
        for walk in 0..<4 {
            #expect(sent.contains(walk * 10_000 + 49 * (walk + 1)), "walk \(walk)")
        }
    }

    @Test func `a window ends with the guest's memory`() {
        let last = pageCount - 1
        let up = prefetched([last - 4, last - 3, last - 2, last - 1, last])
        #expect(up.allSatisfy { (0...last).contains($0) })
        #expect(up.contains(last))
        let down = prefetched([4, 3, 2, 1, 0])
        #expect(down.allSatisfy { (0...last).contains($0) })
        #expect(down.contains(0))
    }

    @Test func `without pages to prefetch nothing is found`() {
        #expect(prefetched(Array(0..<100), most: 0).isEmpty)
    }

    @Test func `a window fits one word`() {
        for stride in [-1024, -1, 1, 1024] {
            let window = PrefetchWindow(
                first: PageIndex((1 << 30) - 1),
                stride: stride,
                count: 64
            )
            #expect(window.packed != 0)
            #expect(PrefetchWindow(packed: window.packed) == window)
        }
    }
}
