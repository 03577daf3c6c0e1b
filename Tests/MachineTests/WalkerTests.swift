// SPDX-License-Identifier: Apache-2.0

import CGuest
import GuestMemory
import KVM
import LinuxSystem
import Machine
import MigrationWire
import TestSupport
import Testing

@Suite(.enabled(if: HostFacts.runsKVMTests, "needs a working /dev/kvm"), .timeLimit(.minutes(2)))
struct `The walker` {
    private static let orders: [WalkerOptions.Order] =
        [.sequential, .strided(pages: 7), .strided(pages: 100_000), .random]

    @Test(arguments: [1, 2, 4], orders)
    func `walks over all its pages`(vCPUCount: Int, order: WalkerOptions.Order) throws {
        let options = WalkerOptions(
            order: order,
            workingSetPages: 23,
            randomPercent: 60,
            zeroPercent: 20
        )
        let machine = try Guests.booted(options, vCPUCount: vCPUCount)
        machine.resume()
        #expect(machine.run(passes: 3))
        _ = try machine.pause(within: .seconds(5))
        #expect(machine.ending == nil)
        for statistics in machine.statistics {
            #expect(statistics.passes >= 3)
            #expect(statistics.iterations >= statistics.passes * 23)
            #expect(statistics.iterations < (statistics.passes + 1) * 23)
            #expect(statistics.tscRegressions == 0)
        }
        #expect(machine.stop() == .stopped)
    }

    @Test func `may claim any work whatever, as memory that came from elsewhere does`() throws {
        let machine = try Guests.booted(WalkerOptions(workingSetPages: 16), vCPUCount: 2)
        for vCPU in 0..<2 {
            let page = PageIndex(Int(CGUEST_BLOCKS) >> GuestPage.shift + vCPU)
            let bytes = unsafe machine.memory.bytes(of: PageRange(first: page, count: 1))
            let offset = Int(CGUEST_BLOCK_ITERATIONS)
            unsafe bytes.storeBytes(of: .max, toByteOffset: offset, as: UInt64.self)
        }
        #expect(machine.statistics.iterations == UInt64.max - 1)
        #expect(machine.stop() == .stopped)
    }

    @Test func `tells with each heartbeat what it has done`() throws {
        let options = WalkerOptions(workingSetPages: 16, heartbeatInterval: .milliseconds(1))
        let machine = try Guests.booted(options, vCPUCount: 2)
        let start = MonotonicTime.now
        machine.resume()
        #expect(machine.run(passes: 50))
        let middle = try machine.pause(within: .seconds(5))
        let first = machine.progress(since: start)
        #expect(first.count == 2)
        for (samples, statistics) in zip(first, machine.statistics) {
            #expect(samples.count > 1)
            for (earlier, later) in zip(samples, samples.dropFirst()) {
                #expect(earlier.iterations < later.iterations)
                #expect(earlier.instant < later.instant)
            }
            let last = try #require(samples.last)
            #expect(UInt64(last.iterations) <= statistics.iterations)
            #expect(start < last.instant && last.instant <= middle)
        }
        machine.resume()
        #expect(machine.run(passes: 50))
        _ = try machine.pause(within: .seconds(5))
        for (samples, before) in zip(machine.progress(since: middle), first) {
            // The last one before that instant leads over to what came after it.
            #expect(samples.first?.instant == before.last?.instant)
            #expect(samples.first?.iterations == before.last?.iterations)
            #expect(samples.count > 1)
        }
        #expect(machine.keepsAllProgress)
        #expect(machine.stop() == .stopped)
    }

    @Test(arguments: [0, 1, 2, 50, 100], [0, 1, 60, 100])
    func `keeps its contents whatever they are made of`(zero: Int, random: Int) throws {
        let options = WalkerOptions(
            workingSetPages: 8,
            randomPercent: random,
            zeroPercent: zero
        )
        let machine = try Guests.booted(options)
        machine.resume()
        #expect(machine.run(passes: 2))
        #expect(machine.ending == nil)
    }

    @Test func `leaves pages beyond its working set alone`() throws {
        let machine = try Guests.booted(WalkerOptions(workingSetPages: 5), vCPUCount: 2)
        machine.resume()
        #expect(machine.run(passes: 2))
        _ = try machine.pause(within: .seconds(5))
        // Both slices are 256 pages from 2 MiB on.
        for first in [512, 768] {
            #expect(machine.word(page: first + 4, offset: 8) >= 2)
            #expect(machine.word(page: first + 5, offset: 8) == 0)
        }
    }

    @Test func `finds its memory above the hole below 4 GiB`() throws {
        let layout = try GuestLayout(regions: [
            .init(guestAddress: 0, pageCount: 1024),
            .init(guestAddress: 4 << 30, pageCount: 1024),
        ])
        let memory = try GuestRAM(layout: layout, backing: .memfd)
        let description = try Machine.describe(layout: layout, vCPUCount: 2)
        let machine = try Machine(description: description, memory: memory)
        try machine.boot(WalkerOptions(order: .random, workingSetPages: 40))
        try machine.startThreads()
        machine.resume()
        #expect(machine.run(passes: 1))
        #expect(machine.ending == nil)
        // The second slice: 768 pages on from page 512.
        #expect(machine.word(page: 1280, offset: 0) == 0x10_0000 + 256)
    }

    @Test func `gives signs of life while it walks and while it idles`() throws {
        for workingSet in [0, 8] {
            var options = WalkerOptions(workingSetPages: workingSet)
            options.heartbeatInterval = .milliseconds(2)
            let machine = try Guests.booted(options, vCPUCount: 2)
            #expect(machine.heartbeats.allSatisfy { $0.count == 0 && $0.last == nil })
            machine.resume()
            let hasBeaten = Guests.wait { machine.heartbeats.allSatisfy { $0.count >= 5 } }
            #expect(hasBeaten)
            for heartbeat in machine.heartbeats {
                #expect(heartbeat.largestGapNanoseconds >= 1_000_000)
                #expect(heartbeat.last ?? .now <= .now)
            }
            _ = try machine.pause(within: .seconds(5))
            machine.resetGaps()
            #expect(machine.heartbeats.allSatisfy { $0.largestGapNanoseconds == 0 })
        }
    }

    @Test func `finds a single flipped bit and names the page`() throws {
        let machine = try Guests.booted(WalkerOptions(workingSetPages: 16))
        machine.resume()
        #expect(machine.run(passes: 1))
        _ = try machine.pause(within: .seconds(5))
        let bytes = unsafe machine.memory.bytes(of: PageRange(first: PageIndex(515), count: 1))
        // The last byte of the page; a vCPU may be in the middle of it, and is then found out too.
        unsafe bytes[4095] ^= 0x40
        machine.resume()
        #expect(Guests.wait { machine.ending != nil })
        guard case .corruption(let corruption) = machine.ending else {
            Issue.record("no corruption: \(String(describing: machine.ending))")
            return
        }
        #expect(corruption.vcpu == 0)
        #expect(corruption.pageNumber == 515)
        #expect(corruption.kind == .checksum)
        #expect(corruption.description.contains("page 515"))
        let readable = try waitUntilReadable([machine.ended.rawDescriptor], timeout: .zero)
        #expect(readable[0])
    }

    @Test func `finds an older version of a page`() throws {
        let machine = try Guests.booted(WalkerOptions(workingSetPages: 16))
        machine.resume()
        #expect(machine.run(passes: 1))
        _ = try machine.pause(within: .seconds(5))
        let range = PageRange(first: PageIndex(520), count: 1)
        let old = unsafe [UInt8](machine.memory.bytes(of: range))
        machine.resume()
        #expect(machine.run(passes: 2))
        _ = try machine.pause(within: .seconds(5))
        unsafe machine.memory.bytes(of: range).copyBytes(from: old)
        machine.resume()
        #expect(Guests.wait { machine.ending != nil })
        guard case .corruption(let corruption) = machine.ending else {
            Issue.record("no corruption: \(String(describing: machine.ending))")
            return
        }
        #expect(corruption.pageNumber == 520)
        #expect(corruption.kind == .generation)
        #expect(corruption.found < corruption.expected)
    }

    @Test func `finds another page's contents, and what should be zero`() throws {
        for (percent, expected) in [(0, GuestCorruption.Kind.number), (100, .zero)] {
            let machine = try Guests.booted(
                WalkerOptions(workingSetPages: 16, zeroPercent: percent)
            )
            let wrong = PageRange(first: PageIndex(514), count: 1)
            let other = PageRange(first: PageIndex(512), count: 1)
            if percent == 0 {
                unsafe machine.memory.bytes(of: wrong).copyMemory(
                    from: UnsafeRawBufferPointer(machine.memory.bytes(of: other))
                )
            } else {
                unsafe machine.memory.bytes(of: wrong)[4095] = 1
            }
            machine.resume()
            #expect(Guests.wait { machine.ending != nil })
            guard case .corruption(let corruption) = machine.ending else {
                Issue.record("no corruption: \(String(describing: machine.ending))")
                return
            }
            #expect(corruption.pageNumber == 514)
            #expect(corruption.kind == expected)
        }
    }

    @Test func `shares its block with the host to the byte`() {
        #expect(MemoryLayout<cguest_block>.size == 4096)
        #expect(
            MemoryLayout<cguest_block>.offset(of: \.counters) == Int(CGUEST_BLOCK_ITERATIONS)
        )
        #expect(
            MemoryLayout<cguest_block>.offset(of: \.corruption)
                == Int(CGUEST_BLOCK_CORRUPT_KIND)
        )
        #expect(cguest_program_byte_count() < Int(CGUEST_BLOCKS - CGUEST_PROGRAM))
    }
}
