// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import MigrationWire
import TestSupport
import Testing

@Suite struct FuzzTests {
    @Test(.timeLimit(.minutes(1)))
    func `100 000 random frames never crash`() throws {
        let seed = TestSeed.next(for: "random frames")
        var random = SeededGenerator(seed: seed)
        var parser = try FrameParser()
        parser.pageCount = 1000
        var refused = 0
        for _ in 0..<100_000 {
            var bytes = noise(Int.random(in: 0...200, using: &random), &random)
            // Most headers would be refused for their first two bytes otherwise.
            if bytes.count > 8, Bool.random(using: &random) {
                bytes[0] = UInt8.random(in: 1...3, using: &random)
                bytes[1] = 0
                bytes[2] = UInt8.random(in: 0...70, using: &random)
                bytes[3] = 0
                bytes[6] = 0
                bytes[7] = 0
            }
            let sequence = bytes.count < 16 ? 0 : littleEndian(bytes[8..<16])
            do throws(FrameDefect) {
                _ = try parser.parse(bytes, expecting: sequence)
            } catch {
                refused += 1
            }
        }
        #expect(refused > 10_000, "seed \(seed)")
    }

    @Test(.timeLimit(.minutes(1)))
    func `100 000 good frames with a few bytes changed never crash`() throws {
        let seed = TestSeed.next(for: "changed frames")
        var random = SeededGenerator(seed: seed)
        var parser = try FrameParser()
        parser.pageCount = 1000
        var frames: [[UInt8]] = []
        var batch = PageBatch()
        for kind in PageContents.allCases {
            batch.begin()
            batch.append(999, kind.bytes(using: &random))
            frames.append(frameBytes(&batch))
        }
        batch.begin()
        for page in 0..<3 { batch.append(page, [UInt8](repeating: 0x41, count: 4096)) }
        frames.append(frameBytes(&batch))
        var refused = 0
        for round in 0..<100_000 {
            // Whole raw pages cost time and find nothing: take them seldom.
            let kinds = round % 50 == 0 ? 0..<frames.count : 3..<frames.count
            var bytes = frames[Int.random(in: kinds, using: &random)]
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                bytes[place] = UInt8.random(in: 0...255, using: &random)
            }
            do throws(FrameDefect) {
                _ = try parser.parse(bytes)
            } catch {
                refused += 1
            }
        }
        #expect(refused > 10_000, "seed \(seed)")
    }

    @Test func `100 000 random preambles and answers never crash`() throws {
        let seed = TestSeed.next(for: "preambles")
        var random = SeededGenerator(seed: seed)
        let memory = try GuardedBytes(byteCount: 32)
        let good = written(32) {
            unsafe LanePreamble(lane: .bulk(1), key: .random()).write(to: $0)
        }
        for _ in 0..<100_000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                bytes[Int.random(in: 0..<16, using: &random)] =
                    UInt8.random(in: 0...255, using: &random)
            }
            let preamble = try? unsafe LanePreamble(parsing: memory.tail(holding: bytes))
            if let preamble, case .urgent(let index) = preamble.lane {
                #expect(index < WireLimits.lanesOfAKind, "seed \(seed)")
            }
            _ = try? unsafe LaneAnswer(parsing: memory.tail(holding: bytes[..<16]))
        }
    }

    private func noise(_ count: Int, _ random: inout SeededGenerator) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    private func littleEndian(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
