// SPDX-License-Identifier: Apache-2.0

import Glibc
import GuestMemory
import LinuxSystem
import Synchronization
import TestSupport
import Testing

/// What each page's winner writes without any lock: the claim alone keeps the others away, which
/// ThreadSanitizer checks.
@safe private final class Contents: @unchecked Sendable {
    private let words: UnsafeMutablePointer<Int>
    private let count: Int

    init(count: Int) {
        self.count = count
        unsafe words = .allocate(capacity: count)
        unsafe words.initialize(repeating: 0, count: count)
    }

    deinit { unsafe words.deallocate() }

    func add(_ page: Int) { unsafe words[page] += 1 }
    func value(_ page: Int) -> Int { unsafe words[page] }
}

@Suite struct PageMapTests {
    @Test func `only an installed page is reclaimed, by one, and is missing again`() throws {
        let map = try PageMap(pageCount: 2)
        let page = PageIndex(0)
        #expect(!map.reclaim(page))
        _ = map.claim(page)
        #expect(!map.reclaim(page))
        _ = map.markInstalled(PageRange(first: page, count: 1))
        #expect(map.remainingCount == 1)
        #expect(map.reclaim(page))
        #expect(!map.reclaim(page))
        #expect(map.remainingCount == 2)
        #expect(map.claim(page) == .arriving, "nobody else may install it meanwhile")
        map.markAbsent(PageRange(first: page, count: 1))
        #expect(map.markRequested(page) == .absent)
        #expect(map.claim(page) == .requested)
        _ = map.markInstalled(PageRange(first: page, count: 1))
        #expect(map.remainingCount == 1)
    }

    @Test(.timeLimit(.minutes(1)), arguments: [1, 64, 4097, 30_000])
    func `of many threads exactly one wins each page`(pageCount: Int) throws {
        let map = try PageMap(pageCount: pageCount)
        let contents = Contents(count: pageCount)
        let wins = Atomic(0)
        let requests = Atomic(0)
        let lasts = Atomic(0)
        let threads = 8
        try crowd(threads) { number in
            for step in 0..<pageCount {
                // Half of the threads come from the other end; some ask before they claim.
                let page = number % 2 == 0 ? step : pageCount - 1 - step
                if number % 3 == 0, map.markRequested(PageIndex(page)) == .absent {
                    requests.add(1, ordering: .relaxed)
                }
                switch map.claim(PageIndex(page)) {
                case .absent, .requested:
                    contents.add(page)
                    wins.add(1, ordering: .relaxed)
                    let range = PageRange(first: PageIndex(page), count: 1)
                    let left = map.markInstalled(range).remainingCount
                    if left == 0 { lasts.add(1, ordering: .relaxed) }
                case .arriving: break
                case .installed:
                    // Whoever sees this may read what the installer wrote.
                    if map.state(of: PageIndex(page)) == .installed, contents.value(page) != 1 {
                        lasts.add(1000, ordering: .relaxed)
                    }
                }
            }
        }
        let counts = (
            wins: wins.load(ordering: .relaxed),
            lasts: lasts.load(ordering: .relaxed),
            requests: requests.load(ordering: .relaxed)
        )
        #expect(counts.wins == pageCount)
        #expect(counts.lasts == 1)
        #expect(counts.requests <= pageCount)
        #expect(map.remainingCount == 0)
        for page in 0..<pageCount {
            #expect(contents.value(page) == 1)
            #expect(map.state(of: PageIndex(page)) == .installed)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `of many threads exactly one sends the request for a page`() throws {
        let pageCount = 20_000
        let map = try PageMap(pageCount: pageCount)
        let firsts = Atomic(0)
        try crowd(6) { _ in
            for page in 0..<pageCount where map.markRequested(PageIndex(page)) == .absent {
                firsts.add(1, ordering: .relaxed)
            }
        }
        let count = firsts.load(ordering: .relaxed)
        #expect(count == pageCount)
        #expect(map.remainingCount == pageCount)
    }

    @Test func `a page goes through its states, and each call says the one before`() throws {
        let map = try PageMap(pageCount: 3)
        let page = PageIndex(1)
        #expect(map.state(of: page) == .absent)
        #expect(map.markRequested(page) == .absent)
        #expect(map.markRequested(page) == .requested)
        #expect(map.state(of: page) == .requested)
        #expect(map.claim(page) == .requested)
        #expect(map.state(of: page) == .arriving)
        #expect(map.claim(page) == .arriving)
        #expect(map.markRequested(page) == .arriving)
        let installation = map.markInstalled(PageRange(first: page, count: 1))
        #expect(installation.remainingCount == 2)
        #expect(!installation.hasUserfaultWaiter)
        #expect(map.state(of: page) == .installed)
        #expect(map.claim(page) == .installed)
        #expect(map.markRequested(page) == .installed)
        #expect(map.claim(PageIndex(0)) == .absent)
        #expect(map.state(of: PageIndex(2)) == .absent)
    }

    @Test func `runs of pages count down to zero`() throws {
        let map = try PageMap(pageCount: 100)
        for page in 0..<100 { _ = map.claim(PageIndex(page)) }
        func install(_ first: Int, _ count: Int) -> Int {
            map.markInstalled(PageRange(first: PageIndex(first), count: count)).remainingCount
        }
        #expect(install(10, 64) == 36)
        #expect(install(0, 10) == 26)
        #expect(install(74, 26) == 0)
    }

    @Test(.timeLimit(.minutes(1)))
    func `whoever waits for a page goes on when it is installed, and not before`() throws {
        // Pages 3, 67 and 131 share the place where their waiters sleep.
        let map = try PageMap(pageCount: 200)
        let waiting = [3, 67, 131, 3]
        let threads = ThreadGroup()
        let woken = FutexWord(0)
        for page in waiting {
            try threads.start("test-wait") {
                if map.awaitInstalled(PageIndex(page)) { woken.add(1) }
            }
        }
        usleep(20_000)
        #expect(woken.value == 0)
        for (page, count) in [(67, 1), (131, 2), (3, 4)] as [(Int, UInt32)] {
            #expect(map.claim(PageIndex(page)) == .absent)
            usleep(5000)
            #expect(woken.value < count)
            _ = map.markInstalled(PageRange(first: PageIndex(page), count: 1))
            while woken.value < count { woken.wait(while: woken.value, timeout: .seconds(1)) }
        }
        threads.joinAll()
        #expect(map.awaitInstalled(PageIndex(3)))
    }

    @Test(.timeLimit(.minutes(1)))
    func `no wake is lost when a page comes while threads begin to wait for it`() throws {
        let rounds = 3000
        let map = try PageMap(pageCount: rounds)
        let start = MonotonicTime.now
        try crowd(4) { number in
            for page in 0..<rounds {
                if number == page % 4 {
                    if map.claim(PageIndex(page)) == .absent {
                        _ = map.markInstalled(PageRange(first: PageIndex(page), count: 1))
                    }
                } else {
                    _ = map.awaitInstalled(PageIndex(page))
                }
            }
        }
        #expect(map.remainingCount == 0)
        // A lost wake costs a second each.
        #expect(MonotonicTime.now.nanoseconds(since: start) < 30_000_000_000)
    }

    @Test(.timeLimit(.minutes(1)))
    func `to abandon the map ends all waiting`() throws {
        let map = try PageMap(pageCount: 100)
        let threads = ThreadGroup()
        let given = FutexWord(0)
        for page in 0..<4 {
            try threads.start("test-wait") {
                if !map.awaitInstalled(PageIndex(page)) { given.add(1) }
            }
        }
        usleep(10_000)
        map.abandon()
        threads.joinAll()
        #expect(given.value == 4)
        #expect(!map.awaitInstalled(PageIndex(50)))
    }

    @Test func `an installer is told of a waiter in userfaultfd, whenever it came`() throws {
        let map = try PageMap(pageCount: 10)
        func install(_ page: Int) -> Bool {
            map.markInstalled(PageRange(first: PageIndex(page), count: 1)).hasUserfaultWaiter
        }
        #expect(map.noteUserfaultWaiter(PageIndex(0)) == .absent)
        _ = map.claim(PageIndex(0))
        #expect(install(0))
        _ = map.markRequested(PageIndex(1))
        #expect(map.noteUserfaultWaiter(PageIndex(1)) == .requested)
        _ = map.claim(PageIndex(1))
        #expect(install(1))
        _ = map.claim(PageIndex(2))
        #expect(map.noteUserfaultWaiter(PageIndex(2)) == .arriving)
        #expect(install(2))
        _ = map.claim(PageIndex(3))
        #expect(!install(3))
        #expect(map.noteUserfaultWaiter(PageIndex(3)) == .installed)
        #expect(map.state(of: PageIndex(3)) == .installed)
    }

    @Test func `one request goes out for a page that somebody waits for already`() throws {
        let map = try PageMap(pageCount: 10)
        #expect(map.noteUserfaultWaiter(PageIndex(4)) == .absent)
        #expect(map.markRequested(PageIndex(4)) == .absent)
        #expect(map.state(of: PageIndex(4)) == .requested)
        #expect(map.markRequested(PageIndex(4)) == .requested)
        #expect(map.claim(PageIndex(4)) == .requested)
        #expect(map.markInstalled(PageRange(first: PageIndex(4), count: 1)).hasUserfaultWaiter)
    }

    @Test func `a page costs at most two bytes of metadata`() {
        #expect(PageMap.bytesPerPage <= 2)
        #expect(MemoryLayout<PageState>.size == 1)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a page outside the map is a trap`() async {
        await #expect(processExitsWith: .failure) {
            // Within the last page of host memory, but not of the map.
            _ = try PageMap(pageCount: 100).claim(PageIndex(100))
        }
        await #expect(processExitsWith: .failure) {
            _ = try PageMap(pageCount: 100).state(of: PageIndex(-1))
        }
    }
}
