// SPDX-License-Identifier: Apache-2.0

import Foundation
import MigrationWire
import ProcessSupport
import Synchronization
import Telemetry
import Testing

extension HostilePeerTests {
    /// Sources that discard what they should not, or send pages where none are due.
    @Suite struct HostileDiscards {
        /// A page that an idle walker never touches.
        static let page: UInt64 = 3000

        @Test(arguments: ["anonymous", "memfd"], [1, 2])
        func `a page that is discarded and sent again is there as it was sent last`(
            backing: String,
            times: Int
        ) throws {
            let steps: [Meddler.Step] = [.discard, .wait, .sendStale, .wait, .send, .wait]
            let ends = try meddle([[Meddler.Step]](repeating: steps, count: times).flatMap { $0 }) {
                ["--mode", "hybrid", "--run-after", "100ms", "--backing", backing]
            }
            #expect(try ends.destination.waitForEnd() == .exited(0), "\(ends.destination.log)")
            #expect(try ends.source.waitForEnd() == .exited(0), "\(ends.source.log)")
            let report = try ends.destination.report()
            #expect(report.digest.match == true)
            // What came again came in a round, and stayed.
            let precopied = try #require(report.precopy).pages
            let pages = report.pages
            #expect(precopied + pages.requested + pages.prefetched + pages.streamed == pages.total)
        }

        @Test(arguments: ["anonymous", "memfd"])
        func `a page that comes again as it was once is found by both sides`(
            backing: String
        ) throws {
            let ends = try meddle([.discard, .wait, .sendStale, .wait]) {
                ["--mode", "hybrid", "--run-after", "0s", "--backing", backing]
            }
            #expect(try ends.destination.waitForEnd() == .exited(12), "\(ends.destination.log)")
            #expect(try ends.source.waitForEnd() == .exited(12), "\(ends.source.log)")
            #expect(try ends.destination.report().outcome == .digestMismatch)
        }

        @Test func `a page that is discarded and never sent again is missed`() throws {
            let ends = try meddle([.discard]) { ["--mode", "hybrid"] }
            let end = try ends.destination.waitForEnd(within: 20)
            #expect(end == .exited(11), "\(ends.destination.log)")
            #expect(ends.destination.log.contains("the stream ended with 1 pages missing"))
        }

        @Test func `a page that is discarded twice, or was never sent, leaves the guest there`()
            throws
        {
            let bench = try Bench()
            let source = try bench.source(["--guest-working-set", "0"])
            for steps: [Meddler.Step] in [[.discard, .wait, .discard], [.beforeAll(.discard)]] {
                let meddler = Meddler(steps)
                let relay = try Relay(to: source.address(), in: bench.folder) { meddler.pass($0) }
                defer { relay.stop() }
                let destination = try bench.destination(to: relay.address, ["--mode", "hybrid"])
                #expect(try destination.waitForEnd(within: 15) == .exited(10), "\(destination.log)")
                let news = "page \(Self.page) cannot be discarded"
                #expect(destination.log.contains(news), "\(destination.log)")
            }
            try expectHealthy(source, on: bench)
        }

        @Test func `there are no more rounds than were asked for`() throws {
            let bench = try Bench()
            let source = try bench.source(["--guest-working-set", "0"])
            let meddler = Meddler([.wait])
            let relay = try Relay(to: source.address(), in: bench.folder) { meddler.pass($0) }
            defer { relay.stop() }
            let destination = try bench.destination(
                to: relay.address,
                ["--mode", "hybrid", "--precopy-rounds", "1"]
            )
            #expect(try destination.waitForEnd(within: 15) == .exited(10), "\(destination.log)")
            let news = "the end of round 2, which is not under way"
            #expect(destination.log.contains(news), "\(destination.log)")
            try expectHealthy(source, on: bench)
        }

        @Test(arguments: ["postcopy", "hybrid"])
        func `a list of pages to discard is refused behind the state`(mode: String) throws {
            let list = RawBytes.control(.discard(Meddler.list(of: Self.page)))
            let bench = try Bench()
            let source = try bench.source(["--guest-working-set", "0"])
            let relay = try Relay(to: source.address(), in: bench.folder) { message in
                guard message.lane == .control else { return .pass }
                return switch RawBytes.body(of: message.bytes) {
                case .state: .replace(message.bytes + list)
                // Or the source says 'run' before it hears that the other has given up.
                case .loaded: .replace([])
                default: .pass
                }
            }
            defer { relay.stop() }
            let destination = try bench.destination(to: relay.address, ["--mode", mode])
            #expect(try destination.waitForEnd(within: 15) == .exited(10), "\(destination.log)")
            #expect(destination.log.contains("'discard' where 'run' was due"))
            try expectHealthy(source, on: bench)
        }

        /// Exit code 12 where all was there when it came: nothing is missing, only not confirmed.
        @Test(arguments: [("postcopy", [Int32(11)]), ("hybrid", [11, 12])])
        func `a list of pages to discard is refused once the guest runs`(
            mode: String,
            codes: [Int32]
        ) throws {
            let list = RawBytes.control(.discard(Meddler.list(of: Self.page)))
            let bench = try Bench()
            let source = try bench.source(memory: "128M", ["--guest-working-set", "0"])
            let relay = try Relay(to: source.address(), in: bench.folder) { message in
                guard message.lane == .control, case .run? = RawBytes.body(of: message.bytes)
                else { return .pass }
                return .replace(message.bytes + list)
            }
            defer { relay.stop() }
            let destination = try bench.destination(
                to: relay.address,
                ["--mode", mode, "--run-after", "0s"]
            )
            let end = try destination.waitForEnd(within: 15)
            #expect(codes.contains { end == .exited($0) }, "\(destination.log)")
            #expect(destination.log.contains("'discard' where"), "\(destination.log)")
        }

        @Test func `a list of pages to discard that is lost is found out`() throws {
            let bench = try Bench()
            let source = try bench.source(vCPUs: 2, ["--guest-working-set", "4M"])
            let relay = try Relay(to: source.address(), in: bench.folder) { message in
                guard message.lane == .control else { return .pass }
                switch RawBytes.body(of: message.bytes) {
                // Of those that the source waits for it notices itself.
                case .discard(let list) where !list.wantsAnswer: return .replace([])
                // The guest has time to write, so that there are such lists.
                case .roundReceived, .discarded: pause(seconds: 0.3)
                default: break
                }
                return .pass
            }
            defer { relay.stop() }
            let destination = try bench.destination(
                to: relay.address,
                ["--mode", "hybrid", "--precopy-rounds", "1", "--run-after", "0s"]
            )
            // By the digest, or before that by the guest, which then ends. Either way it is lost.
            let end = try destination.waitForEnd(within: 30)
            #expect([11, 12, 13].contains { end == .exited($0) }, "\(destination.log)")
            #expect(try destination.report().outcome != .completed)
        }

        struct EarlyFrame: CustomTestStringConvertible, Sendable {
            let lane: LaneName
            let frame: [UInt8]
            let news: String
            var testDescription: String { "\(lane): \(news)" }

            static let all = [
                EarlyFrame(
                    lane: .bulk(0),
                    frame: RawBytes.page(page, .zero),
                    news: "frame of kind 2 before 'state'"
                ),
                EarlyFrame(
                    lane: .bulk(0),
                    frame: RawBytes.page(page, .zero, token: 1),
                    news: "frame of kind 2 before 'state'"
                ),
                EarlyFrame(
                    lane: .bulk(0),
                    frame: RawBytes.header(kind: 3, entries: 0),
                    news: "frame of kind 3 before 'state'"
                ),
                EarlyFrame(
                    lane: .urgent(0),
                    frame: RawBytes.page(page, .zero),
                    news: "frame of kind 2 before 'state'"
                ),
            ]
        }

        @Test(arguments: EarlyFrame.all, ["hybrid", "precopy"])
        func `before the state nothing comes but rounds, where there are rounds`(
            attack: EarlyFrame,
            mode: String
        ) throws {
            let bench = try Bench()
            let source = try bench.source(["--guest-working-set", "0"])
            let meddler = Meddler([.beforeAll(.say(attack.frame, attack.lane))])
            let relay = try Relay(to: source.address(), in: bench.folder) { meddler.pass($0) }
            defer { relay.stop() }
            let destination = try bench.destination(to: relay.address, ["--mode", mode])
            #expect(try destination.waitForEnd(within: 15) == .exited(10), "\(destination.log)")
            #expect(destination.log.contains("\(attack.lane), offset 0: "), "\(destination.log)")
            #expect(destination.log.contains(attack.news), "\(destination.log)")
            try expectHealthy(source, on: bench)
        }

        @Test func `a page that is streamed before the pause is found out if it is another then`()
            throws
        {
            let frame = RawBytes.page(Self.page, .zero)
            let ends = try meddle([.beforeAll(.say(frame, .bulk(0)))]) { ["--run-after", "0s"] }
            #expect(try ends.destination.waitForEnd() == .exited(12), "\(ends.destination.log)")
            #expect(try ends.source.waitForEnd() == .exited(12), "\(ends.source.log)")
            #expect(try ends.destination.report().pages.duplicate >= 1)
        }

        private func meddle(
            _ steps: [Meddler.Step],
            flags: () -> [String]
        ) throws -> Ends {
            let bench = try Bench()
            let source = try bench.source(["--guest-working-set", "0"])
            let meddler = Meddler(steps)
            let relay = try Relay(to: source.address(), in: bench.folder) { meddler.pass($0) }
            let destination = try bench.destination(to: relay.address, flags())
            return Ends(bench: bench, source: source, relay: relay, destination: destination)
        }

        /// Both sides, and what is between them.
        private final class Ends {
            let bench: Bench
            let source: ApusProcess
            let relay: Relay
            let destination: ApusProcess

            init(bench: Bench, source: ApusProcess, relay: Relay, destination: ApusProcess) {
                self.bench = bench
                self.source = source
                self.relay = relay
                self.destination = destination
            }

            deinit { relay.stop() }
        }
    }
}

/// Says more than the source does, before its state passes, and hides what is answered to that.
private final class Meddler: Sendable {
    /// What is said of ``HostilePeerTests/HostileDiscards/page``.
    indirect enum Step: Sendable {
        /// Is to be discarded.
        case discard
        /// Comes in a round, as the source has sent it.
        case send
        /// Comes in a round with other contents.
        case sendStale
        /// Until the destination has done all that was said, which takes two rounds without pages:
        /// it may confirm the first and then look at what else it was told.
        case wait
        /// Any frame.
        case say([UInt8], LaneName)
        /// Before the source has sent anything, instead of before the state.
        case beforeAll(Step)
    }

    private struct Progress {
        /// Of the next frame on the bulk lane.
        var sequence: UInt64 = 0
        /// Rounds that have ended.
        var rounds: UInt64 = 0
        /// The page, as the source has sent it.
        var contents: RawBytes.EncodedPage?
    }

    private let steps: [Step]
    private let progress = Mutex(Progress())
    /// Rounds that the destination has confirmed.
    private let confirmed = Atomic<UInt64>(0)
    /// Rounds from here on are this object's own.
    private let isMeddling = Atomic(false)
    private let hasMeddled = Atomic(false)

    init(_ steps: [Step]) { self.steps = steps }

    static func list(of page: UInt64) -> WireDiscard {
        var list = WireDiscard()
        list.firstPage = page / 64 * 64
        list.pages = Data([UInt8](repeating: 0, count: 8).with(UInt64(1) << (page % 64), at: 0))
        return list
    }

    func pass(_ message: Relay.Message) -> Relay.Verdict {
        switch (message.lane, message.direction) {
        case (.bulk(0), .toDestination):
            note(message.bytes)
            // The stream is sent behind the state, which is held back for the steps.
            let isOfRound =
                message.bytes[0] == 4 || message.bytes.little(UInt64.self, at: 16) == 2
            if !isOfRound { _ = waitUntil(within: 10) { hasMeddled.load(ordering: .acquiring) } }
            return .replace(renumber(message.bytes))
        case (.control, .toSource):
            switch RawBytes.body(of: message.bytes) {
            case .prepared?:
                for case .beforeAll(let step) in steps { take(step, message.relay) }
            case .roundReceived(let round)?:
                confirmed.store(UInt64(round.number), ordering: .releasing)
                if isMeddling.load(ordering: .acquiring) { return .replace([]) }
            default: break
            }
        case (.control, .toDestination):
            guard case .state? = RawBytes.body(of: message.bytes) else { break }
            isMeddling.store(true, ordering: .releasing)
            for step in steps { take(step, message.relay) }
            hasMeddled.store(true, ordering: .releasing)
        default: break
        }
        return .pass
    }

    private func note(_ frame: [UInt8]) {
        guard frame[0] == 2, let contents = RawBytes.contents(of: Self.page, in: frame)
        else { return }
        progress.withLock { $0.contents = contents }
    }

    private func renumber(_ frame: [UInt8]) -> [UInt8] {
        progress.withLock { progress in
            if frame[0] == 4 { progress.rounds += 1 }
            defer { progress.sequence += 1 }
            return frame.with(progress.sequence, at: 8)
        }
    }

    private static let page = HostilePeerTests.HostileDiscards.page

    private func take(_ step: Step, _ relay: Relay) {
        switch step {
        case .discard:
            let list = RawBytes.control(.discard(Self.list(of: Self.page)))
            relay.tellDestination(list, on: .control)
        case .send:
            guard let contents = progress.withLock({ $0.contents }) else { return }
            sayInRound(RawBytes.page(Self.page, contents, token: 2), relay)
        case .sendStale: sayInRound(RawBytes.page(Self.page, .zero, token: 2), relay)
        case .wait:
            for _ in 0..<2 {
                let number = progress.withLock { $0.rounds + 1 }
                sayInRound(RawBytes.header(kind: 4, entries: 0, token: number), relay)
                _ = waitUntil(within: 2) { confirmed.load(ordering: .acquiring) >= number }
            }
        case .say(let frame, let lane):
            relay.tellDestination(lane == .bulk(0) ? renumber(frame) : frame, on: lane)
        case .beforeAll: break
        }
    }

    private func sayInRound(_ frame: [UInt8], _ relay: Relay) {
        relay.tellDestination(renumber(frame), on: .bulk(0))
    }
}
