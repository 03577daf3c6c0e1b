// SPDX-License-Identifier: Apache-2.0

import Foundation
import ProcessSupport
import Telemetry
import TestSupport
import Testing

/// Linux guests with virtio devices.
extension EndToEndTests.LinuxGuests {
    /// A machine with disks.
    struct DiskShape: CustomTestStringConvertible, Sendable {
        let vCPUs: Int
        /// How `--disk` opens the disk that is written.
        let options: String
        /// Whether there is a second disk, which cannot be written.
        let hasLibrary: Bool
        var testDescription: String {
            "\(vCPUs) vCPUs\(options)\(hasLibrary ? ", and one to read" : "")"
        }

        private static let simple = DiskShape(vCPUs: 1, options: "", hasLibrary: false)
        private static let whole = DiskShape(vCPUs: 2, options: ",direct", hasLibrary: true)
        static let due = FaultPathUnderTest.isTestedInFull ? [simple, whole] : [whole]
    }

    @Test(arguments: DiskShape.due)
    func `a guest that writes durable records moves with its disks, and none is lost`(
        shape: DiskShape
    ) throws {
        let (before, after) = (bench.folder.file("console"), bench.folder.file("console"))
        let (first, second) = (bench.folder.file("hvc"), bench.folder.file("hvc"))
        let disk = try RecordDisk(bench.folder.file("disk"), byteCount: 64 << 20)
        let other = try RecordDisk(bench.folder.file("disk"), byteCount: 1 << 20)
        // A device of large blocks minds what O_DIRECT demands; a file in memory does not.
        let device = shape.options.isEmpty ? nil : try LoopDevice(disk.path, blockByteCount: 4096)
        var disks = ["--disk", (device?.path ?? disk.path) + shape.options]
        if shape.hasLibrary {
            let library = try RecordDisk(bench.folder.file("disk"), byteCount: 1 << 18)
            try library.fill()
            disks += ["--disk", library.path + ",readonly"]
        }
        let source = try bench.source(
            memory: "64M",
            vCPUs: shape.vCPUs,
            guest.flags(
                console: before,
                "memory=4 disk=1 hvc=1\(shape.hasLibrary ? " library=1" : "")"
            ) + ["--rng", "--virtio-console", "unix:\(first)"] + disks
        )
        try LinuxGuest.wait(for: "records") {
            RecordDisk.count("durable", before) > 20 || !source.isRunning
        }

        // With another disk nobody gets the guest, which does not stand still for it.
        let refused = try bench.destination(
            to: source.address(),
            ["--disk", other.path + shape.options, "--virtio-console", "none"] + disks.dropFirst(2)
        )
        #expect(try refused.waitForEnd() == .exited(10), "\(refused.log)")
        #expect(refused.log.contains("give the same disk"), "\(refused.log)")
        #expect(!refused.log.contains("switchover"))

        let destination = try bench.destination(
            to: source.address(),
            [
                "--virtio-console", "unix:\(second)", "--console", "file:\(after)", "--listen",
                bench.folder.address(),
            ] + disks
        )
        _ = try destination.address(within: 120)
        let atArrival = LinuxGuest.reports(after).count
        try LinuxGuest.wait(for: "reports after the move") {
            LinuxGuest.reports(after).count >= atArrival + 3 || !destination.isRunning
        }
        let client = try ConsoleClient(path: second)
        client.say("hello there\n")
        try LinuxGuest.wait(for: "answer on the virtio console") {
            client.text.contains("observer: heard hello there\n")
        }
        #expect(try destination.end(by: SIGTERM) == .exited(0), "\(destination.log)")
        try expectSuccess(from: source, to: destination)

        let text = LinuxGuest.text(before) + LinuxGuest.text(after)
        for kind in shape.hasLibrary ? ["durable", "read"] : ["durable"] {
            let moved = RecordDisk.count(kind, before)
            #expect(RecordDisk.count(kind, after) > moved, "\(text)")
        }
        #expect(!text.contains("CORRUPTION"), "\(text)")
        for log in [source.log, destination.log] { #expect(!log.contains("needs a reset")) }
        try disk.expectRecords(atLeast: RecordDisk.count("durable", after))
    }

    @Test(
        .onEachPathInFullRuns,
        .enabled(if: NetworkPair.isWanted, "needs root and network namespaces")
    )
    func `pings to a guest that moves are answered with a single gap`() throws {
        let network = try TapBridge()
        let (before, after) = (bench.folder.file("console"), bench.folder.file("console"))
        let source = try bench.source(
            memory: "64M",
            vCPUs: 2,
            guest.flags(console: before, "memory=4 answer=\(network.guestAddress)")
                + ["--net", "tap=\(network.taps[0])"],
            through: network.inside
        )
        let pings = try Pings(to: network.guestAddress, through: network.inside, bench.folder)
        try LinuxGuest.wait(for: "answers") {
            (LinuxGuest.reports(before).count >= 2 && pings.count > 50) || !source.isRunning
        }
        // Earlier ones got lost while neither side knew the other's Ethernet address.
        let settled = pings.newest
        let destination = try bench.destination(
            to: source.address(),
            [
                "--net", "tap=\(network.taps[1])", "--console", "file:\(after)", "--listen",
                bench.folder.address(),
            ],
            through: network.inside
        )
        _ = try destination.address(within: 120)
        let atArrival = pings.count
        try LinuxGuest.wait(for: "answers after the move") {
            pings.count > atArrival + 100 || !destination.isRunning
        }
        let answers = try pings.stop().filter { $0 >= settled }
        #expect(try destination.end(by: SIGTERM) == .exited(0), "\(destination.log)")
        try expectSuccess(from: source, to: destination)
        #expect(Set(answers).count == answers.count, "an answer came twice")
        // The last pings may be on the way.
        let gaps = zip(answers.sorted(), answers.sorted().dropFirst()).filter { $1 > $0 + 1 }
        #expect(gaps.count <= 1, "\(gaps)")
    }
}

/// A file that the observer writes numbered records to.
private struct RecordDisk {
    let path: String
    private let slots: Int

    private static let recordByteCount = 4096

    init(_ path: String, byteCount: Int) throws {
        self.path = path
        slots = byteCount / Self.recordByteCount
        guard FileManager.default.createFile(atPath: path, contents: nil) else {
            throw ProcessFailure("cannot make \(path)")
        }
        let file = try FileHandle(forWritingTo: URL(filePath: path))
        try file.truncate(atOffset: UInt64(byteCount))
        try file.close()
    }

    /// Writes the first record to the first slot, and so on.
    func fill() throws {
        var bytes = Data()
        for number in 0..<UInt64(slots) {
            for word in 0..<UInt64(Self.recordByteCount / 8) {
                let value = word == 0 ? number : Self.base(of: number) ^ word
                unsafe withUnsafeBytes(of: value) { unsafe bytes.append(contentsOf: $0) }
            }
        }
        try bytes.write(to: URL(filePath: path))
    }

    /// What the words of a record are made of, but for the first.
    private static func base(of number: UInt64) -> UInt64 {
        (1 << 48) &* 0x9E37_79B9_7F4A_7C15 ^ number &* 0xBF58_476D_1CE4_E5B9
    }

    /// How many records are durable, or have been read, as the file of a console says last.
    static func count(_ kind: String, _ console: String) -> Int {
        let lines = LinuxGuest.text(console).split(
            separator: "\n",
            omittingEmptySubsequences: false
        )
        .dropLast()
        return lines.compactMap { line -> Int? in
            let words = line.split(separator: " ")
            guard words.count == 4, words[2] == "records", words[3] == kind else { return nil }
            return Int(words[1])
        }
        .last ?? 0
    }

    /// Looks at the file: each record is there once, in its slot, and whole.
    func expectRecords(atLeast count: Int) throws {
        let data = try Data(contentsOf: URL(filePath: path), options: .alwaysMapped)
        var numbers: [UInt64] = []
        for slot in 0..<slots {
            let start = slot * Self.recordByteCount
            let words = unsafe data.withUnsafeBytes { bytes in
                (0..<Self.recordByteCount / 8).map {
                    unsafe bytes.load(fromByteOffset: start + 8 * $0, as: UInt64.self)
                }
            }
            // Of a slot that was never written all is zero.
            guard words[1] != 0 else { continue }
            let number = words[0]
            numbers.append(number)
            #expect(number % UInt64(slots) == UInt64(slot), "slot \(slot) has \(number)")
            let base = Self.base(of: number)
            let isWhole = (1..<words.count).allSatisfy { words[$0] == base ^ UInt64($0) }
            #expect(isWhole, "record \(number) is torn")
        }
        let newest = Int(numbers.max() ?? 0) + 1
        #expect(newest >= count)
        // All of them, or the last as many as there are slots.
        let expected = UInt64(max(0, newest - slots))..<UInt64(newest)
        #expect(numbers.sorted() == Array(expected))
    }
}

/// A block device that keeps what it has in a file; removed with the object.
private final class LoopDevice {
    let path: String

    init(_ file: String, blockByteCount: Int) throws {
        let words = ["losetup", "--find", "--show", "--sector-size", "\(blockByteCount)", file]
        let result = Command.run(words)
        guard result.code == 0 else { throw ProcessFailure("losetup: \(result.text)") }
        path = result.text.split(separator: "\n").last.map { String($0) } ?? ""
    }

    deinit {
        _ = Command.run(["losetup", "--detach", path])
    }
}

/// A network namespace with a bridge, on which this side has an address, and two TAP interfaces;
/// removed with the object.
private final class TapBridge {
    let guestAddress = "10.78.0.2"
    let taps = ["apus-a", "apus-b"]
    private let name: String

    init() throws {
        let process = ProcessInfo.processInfo.processIdentifier
        name = "apus-t-\(process)-\(UInt16.random(in: .min ... .max))"
        try Self.ip("netns", "add", name)
        try inside("link", "add", "bridge", "type", "bridge")
        try inside("address", "add", "10.78.0.1/24", "dev", "bridge")
        for tap in taps {
            try inside("tuntap", "add", tap, "mode", "tap")
            try inside("link", "set", tap, "master", "bridge", "up")
        }
        try inside("link", "set", "bridge", "up")
    }

    deinit {
        _ = Command.run(["ip", "netns", "delete", name])
    }

    /// Begins a command line that runs in the namespace.
    var inside: [String] { ["ip", "netns", "exec", name] }

    private func inside(_ words: String...) throws {
        try Self.ip(["-n", name] + words)
    }

    private static func ip(_ words: String...) throws { try ip(words) }

    private static func ip(_ words: [String]) throws {
        let result = Command.run(["ip"] + words)
        guard result.code == 0 else {
            throw ProcessFailure("ip \(words.joined(separator: " ")): \(result.text)")
        }
    }
}

/// Sends a numbered datagram every 10 ms, and writes down whose answers come.
private final class Pings {
    private let process = Process()
    private let path: String
    /// Ends the process by being there.
    private let end: String

    private static let script = """
        import os, socket, sys, time
        endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        endpoint.connect((sys.argv[1], 7))
        number, due, answers = 0, time.monotonic(), open(sys.argv[2], "w", buffering=1)
        while not os.path.exists(sys.argv[3]):
            try:
                endpoint.send(b"%d" % number)
            except OSError:
                pass  # nobody has that address yet
            number, due = number + 1, max(due + 0.01, time.monotonic())
            while (left := due - time.monotonic()) > 0:
                endpoint.settimeout(left)
                try:
                    answers.write(endpoint.recv(64).decode() + "\\n")
                except OSError:
                    pass
        """

    init(to address: String, through wrapper: [String], _ folder: ScratchFolder) throws {
        path = folder.file("answers")
        end = folder.file("end")
        process.executableURL = URL(filePath: "/usr/bin/env")
        // Without what Python looks for at its start, which takes an emulated processor seconds.
        process.arguments =
            ["timeout", "\(60 * Int(slowness))"] + wrapper
            + ["/usr/bin/python3", "-IS", "-c", Self.script, address, path, end]
        process.standardInput = FileHandle.nullDevice
        try process.run()
    }

    deinit {
        _ = FileManager.default.createFile(atPath: end, contents: nil)
    }

    /// How many answers have come.
    var count: Int { (try? numbers().count) ?? 0 }

    /// The last ping that was answered.
    var newest: Int { (try? numbers().max()) ?? 0 }

    /// Stops, and tells which were answered.
    func stop() throws -> [Int] {
        _ = FileManager.default.createFile(atPath: end, contents: nil)
        guard waitUntil(within: 5, { !process.isRunning }) else {
            throw ProcessFailure("the pings do not end")
        }
        return try numbers()
    }

    private func numbers() throws -> [Int] {
        let text = try String(contentsOf: URL(filePath: path), encoding: .utf8)
        return text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            .compactMap { Int($0) }
    }
}
