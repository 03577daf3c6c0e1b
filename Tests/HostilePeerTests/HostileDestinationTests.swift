// SPDX-License-Identifier: Apache-2.0

import Foundation
import MigrationWire
import ProcessSupport
import SwiftProtobuf
import Telemetry
import Testing

extension HostilePeerTests {
    /// Raw clients against a real source.
    @Suite struct HostileDestinations {
        // MARK: Before the commit point: one source withstands them all

        @Test func `a lane that begins wrongly is refused, and why is said`() throws {
            let bench = try Bench()
            let source = try bench.source()
            let attacks: [(bytes: [UInt8], verdict: UInt8, news: [String])] = [
                (
                    RawBytes.preamble(kind: 0).with(UInt64(0x21), at: 0), 2,
                    ["wrong magic: expected 0x454e414c53555041, found 0x21"]
                ),
                (
                    RawBytes.preamble(kind: 0, version: 7), 1,
                    ["protocol version differs: here 6, there 7"]
                ),
                (RawBytes.preamble(kind: 9), 2, ["no lane of kind 9"]),
                (RawBytes.preamble(kind: 1, index: 255), 2, ["no lane of kind 1 and index 255"]),
                (RawBytes.preamble(kind: 0, index: 1), 2, ["no lane of kind 0 and index 1"]),
                (
                    RawBytes.preamble(kind: 0).with(UInt32(1), at: 12), 2,
                    ["reserved bits are not zero"]
                ),
                (RawBytes.preamble(kind: 1), 2, ["no migration is under way"]),
                (RawBytes.preamble(kind: 2), 2, ["no migration is under way"]),
            ]
            for attack in attacks {
                let logged = source.log.count
                let connection = try RawConnection(to: source.address())
                connection.send(attack.bytes)
                let answer = try #require(connection.receive(16))
                #expect(answer[10] == attack.verdict)
                // The answer names the version spoken here, whatever was refused.
                #expect(answer.little(UInt16.self, at: 8) == 6)
                #expect(connection.isClosedByPeer())
                expectNews(attack.news, from: source, since: logged)
            }
            try expectHealthy(source, on: bench)
        }

        @Test func `garbage from a printed seed does no harm`() throws {
            let seed = UInt64.random(in: .min ... .max)
            print("seed of the garbage: \(seed)")
            var random = SeededBytes(seed: seed)
            let bench = try Bench()
            let source = try bench.source()
            for round in 0..<40 {
                let connection = try RawConnection(to: source.address())
                if round % 2 == 1 {
                    connection.send(RawBytes.preamble(kind: 0))
                    #expect(connection.receive(16) != nil)
                }
                connection.send(random.next(count: 40 + round * 50))
                #expect(connection.isClosedByPeer(), "seed \(seed), round \(round)")
            }
            try expectHealthy(source, on: bench)
        }

        @Test func `a session that makes no sense ends with both values named`() throws {
            let bench = try Bench()
            let source = try bench.source(vCPUs: 2)
            let attacks: [(spoil: (inout WirePrepared) -> Void, reason: [String])] = [
                ({ $0.pageByteCount = 16384 }, ["source 4096 bytes, destination 16384 bytes"]),
                ({ $0.vcpuCount = 3 }, ["vCPUs differs: source 2, destination 3"]),
                ({ $0.memory = [] }, ["source 0x0+16MiB; destination impossible"]),
                ({ $0.memory[0].pageCount += 256 }, ["0x0+16MiB; destination 0x0+17MiB"]),
                ({ $0.memory[0].guestAddress = 4096 }, ["0x0+16MiB; destination 0x1000+16MiB"]),
                ({ $0.memory[0].pageCount = 1 << 63 }, ["memory layout differs"]),
                ({ $0.urgentLanes = 0 }, ["control lane, offset", "'lanes'"]),
                ({ $0.urgentLanes = 2 }, ["control lane, offset", "'lanes'"]),
                ({ $0.bulkLanes = .max }, ["control lane, offset", "'lanes'"]),
                ({ $0.urgentLanes = .max }, ["control lane, offset", "'lanes'"]),
                ({ $0.pagesPerRequest = 0 }, ["control lane, offset", "'pages_per_request'"]),
                ({ $0.pagesPerRequest = 2 }, ["control lane, offset", "'pages_per_request'"]),
                ({ $0.pagesPerRequest = .max }, ["control lane, offset", "'pages_per_request'"]),
                ({ $0.precopyRounds = 65 }, ["control lane, offset", "'precopy_rounds'"]),
                ({ $0.precopyRounds = .max }, ["control lane, offset", "'precopy_rounds'"]),
                (
                    { $0.precopyBytesPerSecond = 65_535 },
                    ["control lane, offset", "'precopy_bytes_per_second'"]
                ),
            ]
            for attack in attacks {
                let logged = source.log.count
                let destination = try RawDestination(to: source.address())
                try destination.greet()
                try destination.openLanes()
                var prepared = destination.honestPrepared
                attack.spoil(&prepared)
                destination.control.send(RawBytes.control(.prepared(prepared)))
                let reason = try #require(destination.abortReason())
                for text in attack.reason { #expect(reason.contains(text), "\(reason)") }
                expectNews(attack.reason, from: source, since: logged, within: 3)
                destination.die()
            }
            try expectHealthy(source, on: bench)
        }

        @Test func `a page size of another machine is refused at once`() throws {
            let bench = try Bench()
            let source = try bench.source()
            let destination = try RawDestination(to: source.address())
            var hello = destination.honestHello
            hello.pageByteCount = 65536
            destination.control.send(RawBytes.control(.hello(hello)))
            let reason = try #require(destination.abortReason())
            #expect(reason.contains("source 4096 bytes, destination 65536 bytes"))
            destination.die()
            try expectHealthy(source, on: bench)
        }

        @Test func `a wrong session key is refused without naming it`() throws {
            let bench = try Bench()
            let source = try bench.source()
            let destination = try RawDestination(to: source.address())
            try destination.greet()
            let logged = source.log.count
            var key = Array(destination.welcome.sessionKey)
            key[15] ^= 1
            #expect(try destination.lane(kind: 1, key: key) == nil)
            #expect(try destination.lane(kind: 2, key: [UInt8](repeating: 0, count: 16)) == nil)
            expectNews(["wrong session key"], from: source, since: logged)
            let digits = destination.welcome.sessionKey.map { String($0, radix: 16) }
            #expect(!source.log.lowercased().contains(digits.prefix(4).joined()))
            // The right key still opens a lane, once.
            #expect(try destination.lane(kind: 1) != nil)
            #expect(try destination.lane(kind: 1) == nil)
            destination.die()
            try expectHealthy(source, on: bench)
        }

        @Test func `control messages out of place, of impossible size or shape end the session`()
            throws
        {
            let bench = try Bench()
            let source = try bench.source()
            let abort = WireAbort.with { $0.reason = "\u{1B}[2J\u{7}mischief\n" }
            let attacks: [(bytes: [UInt8], news: [String])] = [
                ([0xFF, 0xFF, 0xFF, 0xFF], ["control lane, offset 0", "of 4294967295 bytes"]),
                ([1, 0, 0x40, 0], ["control lane, offset 0", "of 4194305 bytes"]),
                ([0, 0, 0, 0], ["control lane, offset 0", "of 0 bytes"]),
                (RawBytes.framed([0xFF, 0xFF, 0xFF]), ["offset 0", "does not parse"]),
                (RawBytes.framed([0x7A, 0x00]), ["the peer gave up"]),
                (RawBytes.control(.prepared(WirePrepared())), ["offset", "'hello' was due"]),
                (RawBytes.control(.done(WireDone())), ["offset", "'hello' was due"]),
                (RawBytes.control(.run(WireRun())), ["offset", "'hello' was due"]),
                (RawBytes.control(.abort(abort)), ["the peer gave up: [2Jmischief"]),
            ]
            for attack in attacks {
                let logged = source.log.count
                let destination = try RawDestination(to: source.address())
                destination.control.send(attack.bytes)
                expectNews(
                    attack.news + ["the guest goes on here"],
                    from: source,
                    since: logged,
                    within: 4
                )
                destination.die()
            }
            // Behind hello, offsets count on.
            let logged = source.log.count
            let destination = try RawDestination(to: source.address())
            try destination.greet()
            destination.control.send(RawBytes.control(.loaded(WireLoaded())))
            let helloByteCount = RawBytes.control(.hello(destination.honestHello)).count
            let twice = helloByteCount + RawBytes.control(.loaded(WireLoaded())).count
            expectNews(["'prepared' was due"], from: source, since: logged)
            let offsets = ["offset \(helloByteCount):", "offset \(twice):"]
            #expect(offsets.contains { source.log.dropFirst(logged).contains($0) })
            destination.die()
            #expect(!source.log.contains("\u{1B}"))
            try expectHealthy(source, on: bench)
        }

        @Test func `a destination that is silent, or dribbles, is given up in seconds`() throws {
            let bench = try Bench()
            let source = try bench.source()
            let address = try source.address()
            // Nothing at all, and one byte now and then instead of a preamble.
            for isDribbling in [false, true] {
                let logged = source.log.count
                let connection = try RawConnection(to: address)
                let start = ContinuousClock.now
                for _ in 0..<12 where isDribbling {
                    connection.send([0x41])
                    pause(seconds: 1)
                    if source.log.count > logged { break }
                }
                expectNews(["it said nothing"], from: source, since: logged, within: 8)
                #expect(start.duration(to: .now) < .seconds(12))
            }
            // The same with a control message, which would otherwise take a year.
            let logged = source.log.count
            let destination = try RawDestination(to: address)
            let start = ContinuousClock.now
            destination.control.send([0, 0x10, 0, 0])
            for _ in 0..<12 {
                destination.control.send([0])
                pause(seconds: 1)
                if source.log.count > logged { break }
            }
            expectNews(["control lane", "in time"], from: source, since: logged, within: 8)
            #expect(start.duration(to: .now) < .seconds(12))
            destination.die()
            try expectHealthy(source, on: bench)
        }

        @Test func `bad requests before the commit point cost the guest nothing`() throws {
            let bench = try Bench()
            let source = try bench.source()
            for attack in BadRequest.all {
                let logged = source.log.count
                let destination = try RawDestination(to: source.address())
                try destination.greet()
                try destination.openLanes()
                try destination.takeState()
                try #require(destination.urgent).send(attack.bytes)
                // The guest stands still: it is not left waiting for a 'loaded' that is not coming.
                expectNews(
                    ["urgent lane 0, offset \(attack.offset): ", attack.news]
                        + ["the guest goes on here"],
                    from: source,
                    since: logged,
                    within: 5
                )
                destination.die()
            }
            try expectHealthy(source, on: bench)
        }

        @Test func `a crowd of connections does not keep the guest from moving`() throws {
            let bench = try Bench()
            let source = try bench.source()
            let destination = try RawDestination(to: source.address())
            try destination.greet()
            // A second destination is told that it is late.
            let late = try RawConnection(to: source.address())
            late.send(RawBytes.preamble(kind: 0))
            #expect(late.receive(16)?[10] == 3)
            for _ in 0..<100 { try RawConnection(to: source.address()).close() }
            try destination.openLanes()
            try destination.takeState()
            destination.die()
            try expectHealthy(source, on: bench)
        }

        // MARK: After the commit point: the guest is lost, and that is said

        @Test(arguments: BadRequest.all)
        func `a bad request after the commit point is named with lane and offset`(
            attack: BadRequest
        ) throws {
            let bench = try Bench()
            let source = try bench.source()
            let destination = try RawDestination(to: source.address())
            try destination.commit()
            try #require(destination.urgent).send(attack.bytes)
            #expect(try source.waitForEnd(within: 5) == .exited(11), "\(source.log)")
            #expect(source.log.contains("urgent lane 0, offset \(attack.offset): "))
            #expect(source.log.contains(attack.news), "\(source.log)")
            #expect(try source.report().resources.residentBeyondGuestBytes <= 64 << 20)
        }

        @Test func `a page that is asked for again and again is answered every time`() throws {
            let bench = try Bench()
            let source = try bench.source()
            let destination = try RawDestination(to: source.address())
            try destination.commit()
            let urgent = try #require(destination.urgent)
            for sequence: UInt64 in 0..<200 {
                urgent.send(RawBytes.request(page: 5, sequence: sequence))
                let frame = try #require(urgent.receiveFrame())
                #expect(frame.little(UInt64.self, at: 8) == sequence)
                #expect(frame.little(UInt64.self, at: 16) == 7)
                #expect(frame.little(UInt64.self, at: 32) == 5)
            }
            destination.die()
            #expect(try source.waitForEnd(within: 5) == .exited(11))
        }

        @Test func `a destination that reads nothing makes the source wait, not grow`() throws {
            let bench = try Bench()
            let source = try bench.source(memory: "256M", ["--guest-random", "100"])
            let destination = try RawDestination(to: source.address())
            try destination.commit()
            let urgent = try #require(destination.urgent)
            urgent.limitPatience(to: .milliseconds(500))
            for sequence: UInt64 in 0..<20_000 {
                guard urgent.send(RawBytes.request(page: sequence, sequence: sequence)) else {
                    break
                }
            }
            pause(seconds: 1)
            #expect(source.isRunning)
            #expect(source.peakResidentBytes < (256 + 64) << 20)
            destination.die()
            #expect(try source.waitForEnd(within: 5) == .exited(11), "\(source.log)")
        }

        @Test func `a done before every page was sent is no success`() throws {
            let bench = try Bench()
            let source = try bench.source(memory: "256M", ["--guest-random", "100"])
            let destination = try RawDestination(to: source.address())
            try destination.commit()
            destination.control.send(RawBytes.control(.done(WireDone())))
            #expect(try source.waitForEnd(within: 10) == .exited(11), "\(source.log)")
            #expect(source.log.contains("the guest is lost: control lane, offset "))
            #expect(source.log.contains("'pages'") || source.log.contains("never sent"))
            #expect(try source.report().outcome == .guestLost)
        }

        @Test func `a done with another digest is no success`() throws {
            let bench = try Bench()
            let source = try bench.source()
            let destination = try RawDestination(to: source.address())
            try destination.commit()
            let bulk = try #require(destination.bulk)
            var done = WireDone()
            var frame = bulk.receiveFrame()
            while let bytes = frame, bytes[0] == 2 {
                done.pagesStreamed += UInt64(bytes[2]) | UInt64(bytes[3]) << 8
                frame = bulk.receiveFrame()
            }
            #expect(frame?[0] == 3)
            destination.control.send(RawBytes.control(.done(done)))
            #expect(try source.waitForEnd(within: 10) == .exited(12), "\(source.log)")
            #expect(try source.report().outcome == .digestMismatch)
            #expect(source.output.contains("digest: MISMATCH source "))
        }

        @Test func `a control message out of place after the commit point is named`() throws {
            let bench = try Bench()
            for bytes in [RawBytes.control(.loaded(WireLoaded())), [0xFF, 0xFF, 0xFF, 0xFF]] {
                let source = try bench.source()
                let destination = try RawDestination(to: source.address())
                try destination.commit()
                destination.control.send(bytes)
                #expect(try source.waitForEnd(within: 5) == .exited(11), "\(source.log)")
                #expect(source.log.contains("the guest is lost: control lane, offset "))
            }
        }
    }
}

/// What must not be said on an urgent lane.
struct BadRequest: CustomTestStringConvertible, Sendable {
    let bytes: [UInt8]
    /// Where the frame begins that is wrong.
    let offset: Int
    let news: String

    var testDescription: String { news }

    static let all: [BadRequest] = {
        let good = RawBytes.request(page: 1)
        return [
            .init(RawBytes.request(page: 1 << 63), "page 9223372036854775808 does not exist"),
            .init(RawBytes.request(page: 4096), "page 4096 does not exist"),
            .init(RawBytes.request(page: .max), "page 18446744073709551615 does not exist"),
            .init(RawBytes.request(page: 1, requestClass: 9), "unknown request class 9"),
            .init(good.with(UInt8(1), at: 47), "reserved bits"),
            .init(good.with(UInt8(1), at: 1), "reserved bits"),
            .init(RawBytes.header(kind: 1, entries: 0), "0 entries"),
            .init(RawBytes.header(kind: 1, entries: 65), "65 entries"),
            .init(RawBytes.header(kind: 1, entries: .max), "65535 entries"),
            .init(RawBytes.header(kind: 1, entries: 1, payload: .max), "payload of 4294967295"),
            .init(RawBytes.request(page: 1, sequence: 1), "frame number 1 where 0 was due"),
            .init(RawBytes.request(page: 1, sequence: 1 << 63), "where 0 was due"),
            .init(good + good, "frame number 0 where 1 was due", offset: 48),
            .init(RawBytes.header(kind: 3, entries: 0), "unknown kind 3"),
            .init(RawBytes.header(kind: 200, entries: 1), "unknown kind 200"),
            .init(
                RawBytes.header(kind: 2, entries: 1) + [UInt8](repeating: 0, count: 16),
                "unknown kind 2"
            ),
            .init([UInt8](repeating: 0xFF, count: 4096), "unknown kind 255"),
        ]
    }()

    private init(_ bytes: [UInt8], _ news: String, offset: Int = 0) {
        self.bytes = bytes
        self.offset = offset
        self.news = news
    }
}

/// Bytes that can be had again from a printed seed.
private struct SeededBytes {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next(count: Int) -> [UInt8] {
        (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 33)
        }
    }
}
