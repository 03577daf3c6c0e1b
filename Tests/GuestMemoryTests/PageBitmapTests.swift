// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import Synchronization
import TestSupport
import Testing

@Suite struct PageBitmapTests {
    @Test func `words are read, taken, added to and cleared`() throws {
        let bitmap = try PageBitmap(pageCount: 70)
        #expect(bitmap.wordCount == 2)
        bitmap.insert(.max, inWord: 1)
        #expect(bitmap.bits(ofWord: 1) == 0b11_1111, "there are only 70 pages")
        _ = bitmap.insert(PageIndex(5))
        #expect(bitmap.remove(0b11_0000, fromWord: 0) == 0b10_0000)
        #expect(bitmap.bits(ofWord: 0) == 0)
        #expect(bitmap.takeBits(ofWord: 1) == 0b11_1111)
        #expect(bitmap.takeBits(ofWord: 1) == 0)
    }

    private static let sizes = [1, 2, 63, 64, 65, 127, 128, 129, 1000, 4096, 32_769]

    @Test(arguments: sizes)
    func `runs cover every page once, whatever the start`(pageCount: Int) throws {
        let seed = TestSeed.next(for: "runs of \(pageCount)")
        var random = SeededGenerator(seed: seed)
        for mostPages in [1, 2, 7, 63, 64] {
            let bitmap = try PageBitmap(pageCount: pageCount)
            var taken = [Int](repeating: 0, count: pageCount)
            while true {
                let start = PageIndex(Int.random(in: 0..<pageCount, using: &random))
                guard let run = bitmap.takeRun(from: start, mostPages: mostPages) else { break }
                #expect(run.count >= 1 && run.count <= mostPages, "seed \(seed)")
                #expect(run.first.rawValue / 64 == (run.first.rawValue + run.count - 1) / 64)
                for page in run.first.rawValue..<run.first.rawValue + run.count { taken[page] += 1 }
            }
            #expect(taken.allSatisfy { $0 == 1 }, "seed \(seed)")
            for page in 0..<pageCount { #expect(bitmap.contains(PageIndex(page))) }
        }
    }

    @Test func `the search goes up to the end and on from the first page`() throws {
        let bitmap = try PageBitmap(pageCount: 130)
        func take(_ start: Int) -> [Int]? {
            let run = bitmap.takeRun(from: PageIndex(start), mostPages: 64)
            return run.map { [$0.first.rawValue, $0.count] }
        }
        #expect(take(70) == [70, 58])
        #expect(take(70) == [128, 2])
        #expect(take(70) == [0, 64])
        // Last of all the pages of the first word that lie before the start.
        #expect(take(70) == [64, 6])
        #expect(take(70) == nil)
        #expect(take(0) == nil)
    }

    @Test func `a start outside is moved to the nearest page`() throws {
        let bitmap = try PageBitmap(pageCount: 100)
        #expect(bitmap.takeRun(from: PageIndex(.max), mostPages: 1)?.first == PageIndex(99))
        #expect(bitmap.takeRun(from: PageIndex(100), mostPages: 1)?.first == PageIndex(0))
        #expect(bitmap.takeRun(from: PageIndex(.min), mostPages: 1)?.first == PageIndex(1))
    }

    @Test func `a run ends before a page that is set`() throws {
        let bitmap = try PageBitmap(pageCount: 64)
        #expect(bitmap.insert(PageIndex(5)))
        #expect(!bitmap.insert(PageIndex(5)))
        let run = bitmap.takeRun(from: PageIndex(2), mostPages: 64)
        #expect(run == PageRange(first: PageIndex(2), count: 3))
        let next = bitmap.takeRun(from: PageIndex(2), mostPages: 64)
        #expect(next == PageRange(first: PageIndex(6), count: 58))
        let last = bitmap.takeRun(from: PageIndex(63), mostPages: 64)
        #expect(last == PageRange(first: PageIndex(0), count: 2))
    }

    @Test(.timeLimit(.minutes(1)), arguments: [64 * 500, 64 * 500 + 17])
    func `threads that take runs and single pages get every page once`(pageCount: Int) throws {
        let bitmap = try PageBitmap(pageCount: pageCount)
        let taken = try TakenCounts(pageCount: pageCount)
        try crowd(6) { number in
            var random = SeededGenerator(seed: UInt64(number))
            if number < 2 {
                for _ in 0..<pageCount / 4 {
                    let page = PageIndex(Int.random(in: 0..<pageCount, using: &random))
                    if bitmap.insert(page) { taken.add(PageRange(first: page, count: 1)) }
                }
            } else {
                while true {
                    let start = PageIndex(Int.random(in: 0..<pageCount, using: &random))
                    let most = Int.random(in: 1...64, using: &random)
                    guard let run = bitmap.takeRun(from: start, mostPages: most) else { break }
                    taken.add(run)
                }
            }
        }
        #expect(taken.allAreOne)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a page outside the bitmap is a trap`() async {
        await #expect(processExitsWith: .failure) {
            // In the last word, but behind the last page.
            _ = try PageBitmap(pageCount: 65).insert(PageIndex(65))
        }
        await #expect(processExitsWith: .failure) {
            _ = try PageBitmap(pageCount: 64).contains(PageIndex(64))
        }
        await #expect(processExitsWith: .failure) {
            _ = try PageBitmap(pageCount: 64).takeRun(from: PageIndex(0), mostPages: 0)
        }
    }
}

/// Counts how often each page was taken.
///
/// Not atomic: two threads that took the same page would be
/// a race, which ThreadSanitizer reports.
@safe private final class TakenCounts: @unchecked Sendable {
    private let counts: UnsafeMutablePointer<UInt8>
    private let pageCount: Int

    init(pageCount: Int) throws {
        self.pageCount = pageCount
        unsafe counts = .allocate(capacity: pageCount)
        unsafe counts.initialize(repeating: 0, count: pageCount)
    }

    deinit { unsafe counts.deallocate() }

    func add(_ run: PageRange) {
        for page in run.first.rawValue..<run.first.rawValue + run.count {
            unsafe counts[page] += 1
        }
    }

    var allAreOne: Bool { (0..<pageCount).allSatisfy { unsafe counts[$0] == 1 } }
}
