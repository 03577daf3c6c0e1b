// SPDX-License-Identifier: Apache-2.0

import Foundation
import LinuxSystem
import MigrationWire
import ProcessSupport
import Synchronization
import Telemetry
import Testing

extension HostilePeerTests {
    /// A relay spoils what a real source says to a real destination.
    @Suite struct HostileSources {
        // MARK: Before the commit point: exit code 10, and the guest goes on at the source

        @Test func `an answer to a lane's opening that makes no sense is named`() throws {
            let bench = try Bench()
            let source = try bench.source()
            let attacks: [(offset: Int, value: UInt16, news: String)] = [
                (0, 0x2121, "wrong magic: expected 0x454e414c53555041, found 0x"),
                (8, 9, "here 6, there 9"),
                (10, 3, "a migration is under way already"),
                (10, 2, "refused"),
                (10, 77, "reserved bits"),
                (14, 1, "reserved bits"),
            ]
            for attack in attacks {
                let relay = try Relay(
                    to: source.address(),
                    in: bench.folder,
                    tamper: { _ in .pass },
                    tamperAnswer: { lane, answer in
                        // Version 9 comes with the verdict that says so.
                        let spoilt = answer.with(attack.value, at: attack.offset)
                        guard lane == .control else { return answer }
                        return attack.offset == 8 ? spoilt.with(UInt8(1), at: 10) : spoilt
                    }
                )
                defer { relay.stop() }
                let destination = try bench.destination(to: relay.address)
                #expect(try destination.waitForEnd(within: 10) == .exited(10))
                #expect(destination.log.contains(attack.news), "\(destination.log)")
            }
            try expectHealthy(source, on: bench)
        }

        @Test func `a welcome that makes no sense is refused, and both values are named`() throws {
            let bench = try Bench()
            let source = try bench.source()
            for attack in BadWelcome.all {
                let relay = try Relay(to: source.address(), in: bench.folder) { message in
                    guard message.lane == .control, message.direction == .toDestination,
                        case .welcome(var welcome)? = RawBytes.body(of: message.bytes)
                    else { return .pass }
                    attack.spoil(&welcome)
                    return .replace(RawBytes.control(.welcome(welcome)))
                }
                defer { relay.stop() }
                let destination = try bench.destination(to: relay.address)
                let end = try destination.waitForEnd(within: 10)
                #expect(end == .exited(attack.code), "\(attack.news): \(destination.log)")
                #expect(destination.log.contains(attack.news), "\(destination.log)")
                expectModest(destination)
            }
            #expect(!source.log.contains("→ switchover"))
            try expectHealthy(source, on: bench)
        }

        @Test func `saved state that makes no sense is refused whole`() throws {
            let bench = try Bench()
            let source = try bench.source(vCPUs: 2)
            for attack in BadState.all {
                let logged = source.log.count
                let relay = try Relay(to: source.address(), in: bench.folder) { message in
                    guard message.lane == .control, message.direction == .toDestination,
                        case .state(var state)? = RawBytes.body(of: message.bytes)
                    else { return .pass }
                    attack.spoil(&state)
                    return .replace(RawBytes.control(.state(state)))
                }
                defer { relay.stop() }
                let destination = try bench.destination(to: relay.address)
                let end = try destination.waitForEnd(within: 10)
                #expect(end == .exited(10), "\(attack.news): \(destination.log)")
                #expect(destination.log.contains(attack.news), "\(destination.log)")
                expectModest(destination)
                expectNews(["the guest goes on here"], from: source, since: logged)
            }
            try expectHealthy(source, on: bench)
        }

        @Test func `control messages of impossible size, shape or order end the destination`()
            throws
        {
            let bench = try Bench()
            let source = try bench.source()
            let run = RawBytes.control(.run(WireRun()))
            let attacks: [(index: Int, verdict: Relay.Verdict, news: [String])] = [
                (0, .replace([0xFF, 0xFF, 0xFF, 0xFF]), ["control lane, offset 0", "4294967295"]),
                (0, .replace([0, 0, 0, 0]), ["control lane, offset 0", "of 0 bytes"]),
                (
                    0, .replace(RawBytes.framed([0xFF])),
                    ["control lane, offset 0", "does not parse"]
                ),
                (0, .replace(run), ["control lane, offset", "'welcome' was due"]),
                (0, .end([]), ["control lane", "closed"]),
                (0, .end([200, 0, 0, 0, 1, 2, 3]), ["control lane", "closed"]),
                (1, .replace([1, 0, 0x40, 0]), ["control lane, offset", "of 4194305 bytes"]),
                (1, .replace(run), ["control lane, offset", "'state' was due"]),
                (1, .end([0, 1, 0, 0, 0x22]), ["closed by the peer"]),
                (2, .replace([0xFF, 0xFF, 0xFF, 0x7F]), ["control lane, offset", "2147483647"]),
                (2, .replace(RawBytes.control(.doneAck(WireDoneAck()))), ["'run' was due"]),
                (2, .end([]), ["closed by the peer"]),
            ]
            for attack in attacks {
                let freshBench = attack.index == 2 ? try Bench() : bench
                // From the run on the source has given its guest away: it takes one of its own.
                let victim = attack.index == 2 ? try freshBench.source() : source
                let relay = try Relay(to: victim.address(), in: freshBench.folder) { message in
                    message.lane == .control && message.direction == .toDestination
                        && message.index == attack.index ? attack.verdict : .pass
                }
                defer { relay.stop() }
                let destination = try freshBench.destination(to: relay.address)
                #expect(try destination.waitForEnd(within: 15) == .exited(10), "\(attack.news)")
                for text in attack.news {
                    #expect(destination.log.contains(text), "\(destination.log)")
                }
                expectModest(destination)
            }
            try expectHealthy(source, on: bench)
        }

        @Test func `a source that welcomes nobody is given up`() throws {
            let bench = try Bench()
            let source = try bench.source()
            let relay = try Relay(to: source.address(), in: bench.folder) { message in
                message.lane == .control && message.direction == .toDestination
                    ? .replace([]) : .pass
            }
            defer { relay.stop() }
            let destination = try bench.destination(to: relay.address)
            #expect(try destination.waitForEnd(within: 20) == .exited(10))
            #expect(destination.log.contains("control lane: the peer did not answer in time"))
            // The session's setup still has its limit at the source.
            relay.stop()
            try expectHealthy(source, on: bench)
        }

        @Test func `a host with other clocks is believed, and no downtime made up`() throws {
            let bench = try Bench()
            let source = try bench.source()
            let relay = try Relay(to: source.address(), in: bench.folder) { message in
                guard case .welcome(var welcome)? = RawBytes.body(of: message.bytes) else {
                    return .pass
                }
                welcome.bootIdentity = "elsewhere"
                return .replace(RawBytes.control(.welcome(welcome)))
            }
            defer { relay.stop() }
            let destination = try bench.destination(to: relay.address, ["--run-after", "0s"])
            #expect(try destination.waitForEnd() == .exited(0), "\(destination.log)")
            let report = try destination.report()
            #expect(report.digest.match == true)
            #expect(report.switchover?.clocksComparable == false)
            #expect(report.switchover?.downtimeMicroseconds == nil)
        }

        // MARK: After the commit point: exit code 11, and the guest is lost

        @Test(arguments: BadFrame.all)
        func `a bad frame is named with lane and offset`(attack: BadFrame) throws {
            let bench = try Bench()
            // An idle guest asks for few pages, so that the stream brings those that are spoilt.
            let source = try bench.source(["--guest-working-set", "0", "--guest-zero", "10"])
            let frames = Mutex<[[UInt8]]>([])
            let isCommitted = Mutex(false)
            let relay = try Relay(to: source.address(), in: bench.folder) { message in
                if message.lane == .control, case .run? = RawBytes.body(of: message.bytes) {
                    isCommitted.withLock { $0 = true }
                }
                if message.lane == .bulk(0), message.direction == .toDestination {
                    // The stream begins while the state is being loaded.
                    for _ in 0..<500 where !isCommitted.withLock({ $0 }) { pause(seconds: 0.01) }
                }
                if attack.lane == .urgent(0), message.lane == .bulk(0), message.index == 0 {
                    // And it has to ask, where answers are to be spoilt.
                    pause(seconds: 0.5)
                }
                guard message.lane == attack.lane, message.direction == .toDestination else {
                    return .pass
                }
                let seen = frames.withLock { list in
                    list.append(message.bytes)
                    return list
                }
                return attack.spoil(seen)
            }
            defer { relay.stop() }
            let destination = try bench.destination(to: relay.address)
            let end = try destination.waitForEnd(within: 10)
            #expect(end == .exited(11), "\(destination.log)")
            #expect(destination.log.contains("the guest is lost"))
            #expect(destination.log.contains(attack.news), "\(destination.log)")
            if attack.isViolation {
                let sent = frames.withLock { $0 }
                let offset = sent.prefix(attack.framesBefore).map(\.count).reduce(0, +)
                #expect(
                    destination.log.contains(
                        "\(attack.lane), offset \(offset): protocol violation"
                    ),
                    "\(destination.log)"
                )
            }
            #expect(try destination.report().resources.residentBeyondGuestBytes <= 64 << 20)
            #expect(try source.waitForEnd(within: 10) == .exited(11), "\(source.log)")
        }

        @Test func `a stream that ends early is noticed`() throws {
            let bench = try Bench()
            // A guest that touches nothing does not ask for what is missing.
            let source = try bench.source(["--guest-working-set", "0"])
            let relay = try Relay(to: source.address(), in: bench.folder) { message in
                guard message.lane == .bulk(0), message.direction == .toDestination else {
                    return .pass
                }
                return message.index == 3
                    ? .replace(RawBytes.header(kind: 3, entries: 0, sequence: 3))
                    : message.index < 3 ? .pass : .replace([])
            }
            defer { relay.stop() }
            let destination = try bench.destination(to: relay.address)
            #expect(try destination.waitForEnd(within: 20) == .exited(11), "\(destination.log)")
            #expect(destination.log.contains("the stream ended with"))
            #expect(destination.log.contains("pages missing"))
        }

        @Test(arguments: ["anonymous", "memfd"])
        func `pages that come again and again are dropped, and counted`(backing: String) throws {
            let bench = try Bench()
            let source = try bench.source(vCPUs: 2)
            let relay = try Relay(to: source.address(), in: bench.folder) { message in
                guard message.lane == .bulk(0), message.direction == .toDestination else {
                    return .pass
                }
                // Each frame twice, numbered anew: allowed, since answers may repeat.
                let first = UInt64(2 * message.index)
                let once = message.bytes.with(first, at: 8)
                guard message.bytes[0] == 2 else { return .replace(once) }
                return .replace(once + message.bytes.with(first + 1, at: 8))
            }
            defer { relay.stop() }
            let destination = try bench.destination(
                to: relay.address,
                ["--run-after", "200ms", "--backing", backing]
            )
            #expect(try destination.waitForEnd() == .exited(0), "\(destination.log)")
            #expect(try source.waitForEnd() == .exited(0), "\(source.log)")
            let report = try destination.report()
            #expect(report.digest.match == true)
            #expect(report.pages.duplicate >= report.pages.total / 2)
            let pages = report.pages
            #expect(pages.requested + pages.prefetched + pages.streamed == pages.total)
        }

        @Test(arguments: ["anonymous", "memfd"])
        func `a page that was changed on its way is found by both sides`(backing: String) throws {
            let bench = try Bench()
            let source = try bench.source(["--guest-working-set", "0", "--guest-random", "100"])
            let seen = Atomic<Int>(0)
            let relay = try Relay(to: source.address(), in: bench.folder) { message in
                guard message.lane == .bulk(0), message.bytes[0] == 2,
                    let contents = incompressiblePage(in: message.bytes),
                    // The first ones may be requested as well, and arrive twice.
                    seen.wrappingAdd(1, ordering: .relaxed).newValue == 100
                else { return .pass }
                var bytes = message.bytes
                bytes[contents + 2000] ^= 0x10
                return .replace(bytes)
            }
            defer { relay.stop() }
            let destination = try bench.destination(
                to: relay.address,
                ["--run-after", "0s", "--backing", backing]
            )
            #expect(try destination.waitForEnd() == .exited(12), "\(destination.log)")
            #expect(try source.waitForEnd() == .exited(12), "\(source.log)")
            for process in [source, destination] {
                #expect(process.output.contains("digest: MISMATCH source "))
                #expect(try process.report().outcome == .digestMismatch)
            }
        }

        @Test func `without a confirmation the guest goes on, and exit code 12 says so`() throws {
            let bench = try Bench()
            let source = try bench.source()
            let relay = try Relay(to: source.address(), in: bench.folder) { message in
                guard case .doneAck? = RawBytes.body(of: message.bytes), message.lane == .control
                else { return .pass }
                return .end([])
            }
            defer { relay.stop() }
            let destination = try bench.destination(to: relay.address, ["--run-after", "300ms"])
            #expect(try destination.waitForEnd(within: 30) == .exited(12), "\(destination.log)")
            #expect(destination.log.contains("the guest goes on, unconfirmed"))
        }

        @Test func `a digest that the source did not compute is a mismatch`() throws {
            let bench = try Bench()
            let source = try bench.source()
            let relay = try Relay(to: source.address(), in: bench.folder) { message in
                guard message.lane == .control,
                    case .doneAck(var ack)? = RawBytes.body(of: message.bytes)
                else { return .pass }
                ack.digest.low ^= 1
                return .replace(RawBytes.control(.doneAck(ack)))
            }
            defer { relay.stop() }
            let destination = try bench.destination(to: relay.address, ["--run-after", "300ms"])
            #expect(try destination.waitForEnd(within: 30) == .exited(12), "\(destination.log)")
            #expect(destination.output.contains("digest: MISMATCH source "))
        }

        @Test func `a message that has no place in postcopy loses the guest, with its offset`()
            throws
        {
            let bench = try Bench()
            let source = try bench.source(memory: "128M")
            let relay = try Relay(to: source.address(), in: bench.folder) { message in
                guard message.lane == .control, case .run? = RawBytes.body(of: message.bytes)
                else { return .pass }
                return .replace(message.bytes + message.bytes)
            }
            defer { relay.stop() }
            let destination = try bench.destination(to: relay.address)
            #expect(try destination.waitForEnd(within: 10) == .exited(11), "\(destination.log)")
            #expect(destination.log.contains("the guest is lost: control lane, offset "))
            #expect(destination.log.contains("'run' where 'nothing' was due"))
        }

        private func expectModest(
            _ destination: ApusProcess,
            location: SourceLocation = #_sourceLocation
        ) {
            // Before there is a machine there is no report, and nothing was allocated for one.
            guard let report = try? destination.report() else { return }
            let beyond = report.resources.residentBeyondGuestBytes
            #expect(beyond <= 64 << 20, sourceLocation: location)
        }
    }
}

/// Finds a page in a frame that hardly shrank.
///
/// - Returns: Where its contents begin. A byte in their middle is a byte of the page.
private func incompressiblePage(in frame: [UInt8]) -> Int? {
    let count = Int(frame.little(UInt16.self, at: 2))
    var contents = 32 + 16 * count
    for index in 0..<count {
        let byteCount = Int(frame.little(UInt32.self, at: 32 + 16 * index + 8))
        if byteCount > 3500 { return contents }
        contents += byteCount
    }
    return nil
}
