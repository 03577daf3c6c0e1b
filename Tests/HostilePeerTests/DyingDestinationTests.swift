// SPDX-License-Identifier: Apache-2.0

import Foundation
import MigrationWire
import ProcessSupport
import Testing

extension HostilePeerTests {
    /// A destination that dies after each message before the commit point.
    @Suite struct DyingDestinations {
        /// How far it gets, in the order of PROTOCOL.md.
        enum Step: Int, CaseIterable, Sendable {
            case connected, halfPreamble, preamble, halfHello, hello, welcomed, urgentLane
            case bothLanes, halfPrepared, prepared, stateTaken
        }

        @Test(arguments: ["unix", "tcp"])
        func `wherever a destination dies before the commit point, the guest goes on`(
            transport: String
        ) throws {
            let bench = try Bench()
            let source = try bench.source(
                memory: "16M",
                vCPUs: 2,
                listen: transport == "tcp" ? "tcp:127.0.0.1:0" : nil
            )
            var beats: UInt64 = 0
            for step in Step.allCases {
                let logged = source.log.count
                try die(at: step, source.address())
                if step.rawValue >= Step.preamble.rawValue {
                    expectNews(["the guest goes on here"], from: source, since: logged)
                }
                // What the source tells the next one shows that the guest went on meanwhile.
                var now: UInt64 = 0
                for _ in 0..<20 where now <= beats { now = try heartbeats(source.address()) }
                #expect(now > beats, "the guest stood still after \(step)")
                beats = now
            }
            try expectHealthy(source, on: bench)
        }

        /// The last moment before the commit point: `Loaded` is on its way, its sender is dead.
        @Test(arguments: ["unix", "tcp"])
        func `a destination that dies right after 'loaded' does not get the guest`(
            transport: String
        ) throws {
            let bench = try Bench()
            let source = try bench.source(
                memory: "16M",
                listen: transport == "tcp" ? "tcp:127.0.0.1:0" : nil
            )
            for _ in 0..<3 {
                let logged = source.log.count
                let destination = try RawDestination(to: source.address())
                try destination.greet()
                try destination.openLanes()
                try destination.takeState()
                // So that the source finds both, the message and the end, when it looks.
                source.send(SIGSTOP)
                destination.control.send(RawBytes.control(.loaded(WireLoaded())))
                destination.die()
                pause(seconds: 0.05)
                source.send(SIGCONT)
                expectNews(["the guest goes on here"], from: source, since: logged)
            }
            try expectHealthy(source, on: bench)
        }

        @Test func `a destination that dies with its lanes half open leaves no trace`() throws {
            let bench = try Bench()
            let source = try bench.source(memory: "16M")
            let descriptors = openDescriptors(of: source)
            for _ in 0..<20 {
                let logged = source.log.count
                let destination = try RawDestination(to: source.address())
                try destination.greet()
                for index: UInt8 in 0..<8 {
                    _ = try destination.lane(kind: 1 + index % 2, index: index)
                }
                destination.die()
                expectNews(["the guest goes on here"], from: source, since: logged)
            }
            #expect(waitUntil(within: 2) { openDescriptors(of: source) == descriptors })
            try expectHealthy(source, on: bench)
        }

        private func die(at step: Step, _ address: String) throws {
            if step.rawValue < Step.preamble.rawValue {
                let connection = try RawConnection(to: address)
                if step == .halfPreamble { connection.send([0x41, 0x50, 0x55]) }
                connection.close()
                return
            }
            let destination = try RawDestination(to: address)
            defer { destination.die() }
            let hello = RawBytes.control(.hello(destination.honestHello))
            switch step {
            case .connected, .halfPreamble, .preamble: return
            case .halfHello: return _ = destination.control.send(Array(hello.dropLast(2)))
            case .hello: return _ = destination.control.send(hello)
            default: try destination.greet()
            }
            if step == .welcomed { return }
            _ = try destination.lane(kind: 1)
            if step == .urgentLane { return }
            _ = try destination.lane(kind: 2)
            let prepared = RawBytes.control(.prepared(destination.honestPrepared))
            switch step {
            case .halfPrepared: _ = destination.control.send(Array(prepared.dropLast(3)))
            case .prepared: _ = destination.control.send(prepared)
            case .stateTaken: try destination.takeState()
            default: return
            }
        }

        /// How often the guest's heart has beaten, as the source tells a destination.
        private func heartbeats(_ address: String) throws -> UInt64 {
            pause(seconds: 0.1)
            let destination = try RawDestination(to: address)
            defer { destination.die() }
            try destination.greet()
            try destination.openLanes()
            return try destination.takeState().heartbeats.map(\.count).min() ?? 0
        }

        private func openDescriptors(of process: ApusProcess) -> Int {
            let path = "/proc/\(process.processID)/fd"
            return (try? FileManager.default.contentsOfDirectory(atPath: path).count) ?? -1
        }
    }
}
