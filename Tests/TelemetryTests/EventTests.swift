// SPDX-License-Identifier: Apache-2.0

import Foundation
import LinuxSystem
import Telemetry
import Testing

/// The event stream of a migration that never happened.
struct EventTests {
    private static let guest = [UInt8](0..<16)

    /// What a migration looks like in a file.
    private func lines(
        _ tell: (any MigrationObserver) -> Void
    ) throws -> [Substring] {
        let path = "/tmp/apus-events.\(getpid()).\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let stream = EventStream(try LineOutput(appendingTo: path))
        tell(EventObserver(stream, as: .destination))
        let data = try #require(FileManager.default.contents(atPath: path))
        return String(decoding: data, as: UTF8.self).split(separator: "\n")
    }

    private func events(
        _ tell: (any MigrationObserver) -> Void
    ) throws -> [MigrationEvent] {
        try lines(tell).map { try JSONDecoder().decode(MigrationEvent.self, from: Data($0.utf8)) }
    }

    @Test func `every event is one line that says what, when, who and of which guest`() throws {
        let before = MonotonicTime.now
        let events = try self.events {
            $0.noted("before they met")
            $0.connected(to: "unix:/run/apus.socket", guest: Self.guest)
            $0.phaseChanged(from: "setup", to: "switchover")
            $0.progressed(
                TransferProgress(
                    percent: 1,
                    pagesPerSecond: 1,
                    bytesPerSecond: 1,
                    requestsOutstanding: 0,
                    secondsLeft: nil
                )
            )
            $0.ended(MigrationEnding(Samples.completed))
        }
        #expect(events.map(\.event) == [.note, .connected, .phase, .outcome])
        #expect(events.map(\.sequence) == [1, 2, 3, 4])
        let name = "000102030405060708090a0b0c0d0e0f"
        #expect(events.map(\.guest) == [nil, name, name, name])
        #expect(events.allSatisfy { $0.role == .destination && $0.formatVersion == 1 })
        #expect(events[0].text == "before they met")
        #expect(events[1].peer == "unix:/run/apus.socket")
        #expect(events[2].from == "setup" && events[2].to == "switchover")
        let instants = [before] + events.map(\.monotonic) + [.now]
        #expect(instants == instants.sorted())
        let format = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        for event in events {
            #expect(event.time.hasSuffix("Z") && event.time.count == 24)
            #expect(abs(try format.parse(event.time).timeIntervalSinceNow) < 60)
        }
        let last = events[3]
        #expect(last.outcome == .completed && last.error == nil && last.dropped == 0)
        #expect(last.session == Samples.completed.sessionIdentity)
        #expect(last.downtimeMicroseconds == Samples.completed.switchover?.downtimeMicroseconds)
        #expect(last.outsideGapMicroseconds == 9900 && last.totalMicroseconds == 1_030_000)
    }

    @Test func `the names in JSON are those that are documented`() throws {
        let lines = try self.lines {
            $0.connected(to: nil, guest: Self.guest)
            $0.phaseChanged(from: "setup", to: "cancelled")
            $0.noted("a note")
            $0.ended(MigrationEnding(cancelledFor: "no such source"))
        }
        let keys = try lines.map { line in
            try Set(
                #require(
                    JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
                ).keys
            )
        }
        let common: Set = [
            "format_version", "sequence", "event", "time", "monotonic_ns", "role", "guest",
        ]
        #expect(
            keys == [
                common, common.union(["from", "to"]), common.union(["text"]),
                common.union(["outcome", "error", "dropped"]),
            ]
        )
    }

    @Test(arguments: ["\u{1}", "é", "\"", "🐦"])
    func `no text makes a line longer than a pipe takes whole`(character: String) throws {
        let text = String(repeating: character, count: 10_000)
        let lines = try self.lines {
            $0.connected(to: String(repeating: "x", count: 200), guest: Self.guest)
            $0.noted(text)
            $0.ended(MigrationEnding(cancelledFor: text))
        }
        #expect(lines.count == 3, "a line was dropped")
        #expect(lines.allSatisfy { $0.utf8.count < LineOutput.mostBytes })
    }

    /// What a pipe holds, with one read: more than it can hold at once.
    private static func contents(of pipe: Pipe) -> Data {
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        let number = pipe.fileHandleForReading.fileDescriptor
        let count = unsafe read(number, &buffer, buffer.count)
        return Data(buffer.prefix(max(0, count)))
    }

    @Test func `the last event says how many were dropped before it`() throws {
        let pipe = Pipe()
        signal(SIGPIPE, SIG_IGN)
        let stream = EventStream(
            try LineOutput(writingTo: pipe.fileHandleForWriting.fileDescriptor)
        )
        let observer = EventObserver(stream, as: .source)
        for _ in 0..<1000 { observer.noted(String(repeating: "x", count: 500)) }
        let full = Self.contents(of: pipe)
        observer.ended(MigrationEnding(Samples.failed))
        let last = Self.contents(of: pipe)
        let event = try JSONDecoder().decode(MigrationEvent.self, from: last)
        let written = full.split(separator: UInt8(ascii: "\n")).count
        #expect(event.dropped == 1000 - written)
        #expect(event.sequence == 1001 && event.outcome == .failed)
    }

    @Test func `observers of several migrations share one count`() throws {
        let path = "/tmp/apus-events.\(getpid()).\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let stream = EventStream(try LineOutput(appendingTo: path))
        ObserverGroup([EventObserver(stream, as: .destination)]).noted("here")
        EventObserver(stream, as: .source).noted("there")
        let text = String(
            decoding: try #require(FileManager.default.contents(atPath: path)),
            as: UTF8.self
        )
        let events = try text.split(separator: "\n").map {
            try JSONDecoder().decode(MigrationEvent.self, from: Data($0.utf8))
        }
        #expect(events.map(\.sequence) == [1, 2])
        #expect(events.map(\.role) == [.destination, .source])
    }
}
