// SPDX-License-Identifier: Apache-2.0

import Foundation
import MigrationWire
import ProcessSupport
import Synchronization
import Testing

extension HostilePeerTests {
    /// Precopy rounds, and lists of pages to discard, with what must not be in them.
    @Suite struct HostileRounds {
        struct BadDiscard: CustomTestStringConvertible, Sendable {
            let mode: String
            let news: String
            let messages: [WireDiscard]
            var testDescription: String { "\(mode): \(news)" }

            init(_ mode: String, _ news: String, _ messages: [(first: UInt64, pages: [UInt8])]) {
                self.mode = mode
                self.news = news
                self.messages = messages.map { first, pages in
                    var message = WireDiscard()
                    message.firstPage = first
                    message.pages = Data(pages)
                    return message
                }
            }

            static let all: [BadDiscard] = [
                .init("postcopy", "page 0 cannot be discarded", [(0, [1])]),
                .init("precopy", "'discard' where 'state' was due", [(0, [1])]),
                .init("hybrid", "field 'discard'", [(0, [])]),
                .init("hybrid", "field 'discard'", [(0, [0, 0])]),
                .init("hybrid", "field 'discard'", [(7, [1])]),
                .init("hybrid", "field 'discard'", [(.max, [1])]),
                .init("hybrid", "page 4096 does not exist", [(4032, [0, 0, 0, 0, 0, 0, 0, 0, 1])]),
                .init("hybrid", "page 5 cannot be discarded", [(0, [0x20]), (0, [0xFF])]),
            ]
        }

        @Test(arguments: BadDiscard.all)
        func `a bad list of pages to discard leaves the guest at the source`(
            attack: BadDiscard
        ) throws {
            let bench = try Bench()
            let source = try bench.source(["--guest-working-set", "0"])
            let relay = try Relay(to: source.address(), in: bench.folder) { message in
                guard message.lane == .control, message.direction == .toDestination,
                    case .state? = RawBytes.body(of: message.bytes)
                else { return .pass }
                let lists = attack.messages.flatMap { RawBytes.control(.discard($0)) }
                return .replace(lists + message.bytes)
            }
            defer { relay.stop() }
            let destination = try bench.destination(to: relay.address, ["--mode", attack.mode])
            #expect(try destination.waitForEnd(within: 15) == .exited(10), "\(destination.log)")
            #expect(destination.log.contains("control lane, offset"), "\(destination.log)")
            #expect(destination.log.contains(attack.news), "\(destination.log)")
            try expectHealthy(source, on: bench)
        }

        struct BadRound: CustomTestStringConvertible, Sendable {
            let news: String
            /// Gets each frame of the bulk lane.
            let spoil: @Sendable ([UInt8]) -> [UInt8]
            var testDescription: String { news }

            static let all: [BadRound] = [
                BadRound(news: "the end of round 2, which is not under way") { frame in
                    frame[0] == 4 ? frame.with(UInt64(2), at: 16) : frame
                },
                BadRound(news: "the end of round 0, which is not under way") { frame in
                    frame[0] == 4 ? frame.with(UInt64(0), at: 16) : frame
                },
                BadRound(news: "the end of round 1, which is not under way") { frame in
                    guard frame[0] == 4 else { return frame }
                    let sequence = frame.little(UInt64.self, at: 8)
                    return frame + frame.with(sequence + 1, at: 8)
                },
                BadRound(news: "frame of kind 2 before 'state', outside of any round") { frame in
                    frame[0] == 2 ? frame.with(UInt64(0), at: 16) : frame
                },
                BadRound(news: "frame of kind 2 before 'state', outside of any round") { frame in
                    frame[0] == 2 ? frame.with(UInt64(1), at: 16) : frame
                },
                BadRound(news: "token 3 on a bulk lane") { frame in
                    frame[0] == 2 ? frame.with(UInt64(3), at: 16) : frame
                },
                BadRound(news: "1 entries in a frame") { frame in
                    frame[0] == 4 ? frame.with(UInt16(1), at: 2) : frame
                },
                BadRound(news: "page 4096 does not exist") { frame in
                    frame[0] == 2 ? frame.with(UInt64(4096), at: 32) : frame
                },
            ]
        }

        @Test(arguments: BadRound.all)
        func `a bad frame of a round leaves the guest at the source`(attack: BadRound) throws {
            let bench = try Bench()
            let source = try bench.source(vCPUs: 2)
            let relay = try Relay(to: source.address(), in: bench.folder) { message in
                message.lane == .bulk(0) && message.direction == .toDestination
                    ? .replace(attack.spoil(message.bytes)) : .pass
            }
            defer { relay.stop() }
            let destination = try bench.destination(to: relay.address, ["--mode", "precopy"])
            #expect(try destination.waitForEnd(within: 15) == .exited(10), "\(destination.log)")
            #expect(destination.log.contains("bulk lane 0, offset"), "\(destination.log)")
            #expect(destination.log.contains(attack.news), "\(destination.log)")
            relay.stop()
            try expectHealthy(source, on: bench)
        }

        @Test(arguments: [
            (UInt8(2), "token 2 on a bulk lane"), (4, "the end of round 1, which is not under way"),
        ])
        func `nothing of a round comes in behind the state`(kind: UInt8, news: String) throws {
            let bench = try Bench()
            let source = try bench.source(vCPUs: 2)
            let isLoaded = Atomic(false)
            let isDone = Atomic(false)
            let relay = try Relay(to: source.address(), in: bench.folder) { message in
                if message.lane == .control, case .loaded? = RawBytes.body(of: message.bytes) {
                    isLoaded.store(true, ordering: .releasing)
                }
                // The first frame behind the rounds, before or behind Run: pages, or the stream's
                // end when the guest has asked for all that was left.
                guard message.lane == .bulk(0), message.direction == .toDestination,
                    message.bytes[0] == 3
                        || (message.bytes[0] == 2
                            && message.bytes.little(UInt64.self, at: 16) == 0),
                    !isDone.exchange(true, ordering: .relaxed)
                else { return .pass }
                // Ahead of the state, on another lane, what follows would be a round's.
                _ = waitUntil(within: 10) { isLoaded.load(ordering: .acquiring) }
                let sequence = message.bytes.little(UInt64.self, at: 8)
                return .replace(
                    kind == 2
                        ? RawBytes.page(HostileDiscards.page, .zero, sequence: sequence, token: 2)
                        : RawBytes.header(kind: 4, entries: 0, sequence: sequence, token: 1)
                )
            }
            defer { relay.stop() }
            let destination = try bench.destination(to: relay.address, ["--mode", "hybrid"])
            // Exit code 12 where all was there when it came.
            let end = try destination.waitForEnd(within: 15)
            #expect([10, 11, 12].contains { end == .exited($0) }, "\(destination.log)")
            #expect(destination.log.contains(news), "\(destination.log)")
        }

        @Test func `a stream without the state that it is sent behind is given up`() throws {
            let bench = try Bench()
            let source = try bench.source(vCPUs: 2)
            let relay = try Relay(to: source.address(), in: bench.folder) { message in
                guard message.lane == .control, message.direction == .toDestination,
                    case .state? = RawBytes.body(of: message.bytes)
                else { return .pass }
                return .replace([])
            }
            defer { relay.stop() }
            let destination = try bench.destination(to: relay.address)
            #expect(try destination.waitForEnd(within: 15) == .exited(10), "\(destination.log)")
            let news = "frame of kind 2 before 'state', outside of any round"
            #expect(destination.log.contains(news), "\(destination.log)")
            relay.stop()
            try expectHealthy(source, on: bench)
        }

        @Test func `a destination that lies about rounds leaves the guest at the source`() throws {
            let bench = try Bench()
            let source = try bench.source(vCPUs: 2)
            var first = WireRoundReceived()
            first.number = 1
            var second = WireRoundReceived()
            second.number = 2
            let attacks: [(message: WireControlMessage.OneOf_Body, news: String)] = [
                // Nothing has been read from the lane, so that not all can have been sent.
                (.roundReceived(first), "field 'number'"),
                (.roundReceived(second), "field 'number'"),
                (.roundReceived(WireRoundReceived()), "field 'number'"),
                (.loaded(WireLoaded()), "'loaded' where 'round_received' was due"),
                (.discarded(WireDiscarded()), "'discarded' where 'round_received' was due"),
            ]
            for attack in attacks {
                let logged = source.log.count
                let destination = try RawDestination(to: source.address())
                try destination.greet()
                try destination.openLanes()
                var prepared = destination.honestPrepared
                prepared.precopyRounds = 2
                destination.control.send(RawBytes.control(.prepared(prepared)))
                destination.control.send(RawBytes.control(attack.message))
                expectNews(
                    [attack.news, "the guest goes on here"],
                    from: source,
                    since: logged
                )
                destination.die()
            }
            let logged = source.log.count
            let destination = try RawDestination(to: source.address())
            try destination.greet()
            try destination.openLanes()
            var prepared = destination.honestPrepared
            prepared.precopyRounds = 2
            destination.control.send(RawBytes.control(.prepared(prepared)))
            try #require(destination.urgent).send(RawBytes.request(page: 1))
            expectNews(
                ["urgent lane 0, offset 0: ", "'requests' where", "the guest goes on here"],
                from: source,
                since: logged
            )
            destination.die()
            try expectHealthy(source, on: bench)
        }
    }
}
