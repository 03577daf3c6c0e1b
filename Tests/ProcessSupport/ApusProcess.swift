// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import Glibc
package import Telemetry
internal import TestSupport

/// Something that a process under test did not do, with what it said last.
package struct ProcessFailure: Error, CustomStringConvertible {
    package let description: String

    /// - Parameter description: What was wrong.
    package init(_ description: String) { self.description = description }
}

/// One run of `apus-source` or `apus-destination`; killed, if need be, with the object.
///
/// For one thread.
package final class ApusProcess {
    /// Which program.
    package enum Program: String {
        case source = "apus-source"
        case destination = "apus-destination"

        /// See ``Command/pathOfProduct(_:)``.
        package var path: String { Command.pathOfProduct(rawValue) }
    }

    /// How a process ended.
    package enum End: Equatable {
        case exited(Int32)
        case killed(signal: Int32)
    }

    /// A process that is forgotten, say by a test run that was killed, ends by this limit.
    private static let cpuSeconds = 120 * Int(slowness)

    private let process = Process()
    private let name: String
    private let outputPath: String
    private let logPath: String
    /// Where its report goes.
    package let reportPath: String

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - program: Which one.
    ///   - arguments: Its flags; `--report` is added.
    ///   - folder: Takes its output and its report.
    ///   - wrapper: Programs that end by executing what follows them, such as setpriv(1).
    /// - Throws: When it cannot be started.
    package init(
        _ program: Program,
        _ arguments: [String],
        in folder: ScratchFolder,
        through wrapper: [String] = []
    ) throws {
        name = program.rawValue
        outputPath = folder.file("out")
        logPath = folder.file("log")
        reportPath = folder.file("report.json")
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments =
            ["prlimit", "--cpu=\(Self.cpuSeconds)", "--core=0"] + wrapper + [program.path]
            + arguments + ["--report", reportPath]
        process.standardInput = FileHandle.nullDevice
        let (output, log) = (try Self.fresh(outputPath), try Self.fresh(logPath))
        process.standardOutput = output
        process.standardError = log
        try process.run()
        // The process has its own; these would stay open as long as this one runs.
        try output.close()
        try log.close()
    }

    deinit {
        if process.isRunning { Glibc.kill(processID, SIGKILL) }
        // A test that fails for it may have looked at another process only.
        if log.contains("triple fault") { print("\(name) said:\n\(log)") }
    }

    /// The kernel's number of the process.
    package var processID: Int32 { process.processIdentifier }

    /// Standard output so far.
    package var output: String { Self.text(outputPath) }

    /// Standard error so far.
    package var log: String { Self.text(logPath) }

    /// Whether it has not ended.
    package var isRunning: Bool { process.isRunning }

    /// The report it wrote.
    package func report() throws -> MigrationReport { try ReportFile.read(reportPath) }

    /// Sends a signal, unless the process has ended.
    package func send(_ signal: Int32) {
        if process.isRunning { Glibc.kill(processID, signal) }
    }

    /// Sends a signal and waits for the end.
    @discardableResult
    package func end(by signal: Int32, within seconds: Double = 20) throws -> End {
        send(signal)
        return try waitForEnd(within: seconds)
    }

    /// Waits until the process has ended.
    package func waitForEnd(within seconds: Double = 60) throws -> End {
        guard waitUntil(within: seconds, { !process.isRunning }) else {
            throw failure("did not end within \(seconds) s")
        }
        return process.terminationReason == .uncaughtSignal
            ? .killed(signal: process.terminationStatus) : .exited(process.terminationStatus)
    }

    /// Waits until a text stands in the log.
    package func waitForLog(_ text: String, within seconds: Double = 30) throws {
        let isThere = waitUntil(within: seconds) { log.contains(text) || !process.isRunning }
        guard isThere, log.contains(text) else {
            throw failure(
                isThere ? "ended without saying '\(text)'" : "did not say '\(text)' in \(seconds) s"
            )
        }
    }

    /// Where it listens, once it does.
    package func address(within seconds: Double = 60) throws -> String {
        try waitForLog("listening on ", within: seconds)
        // The line may not be whole yet.
        _ = waitUntil(within: 1) { Self.address(in: log) != nil }
        guard let address = Self.address(in: log) else { throw failure("named no address") }
        return address
    }

    /// The most memory the process has had resident, in bytes; zero once it has ended.
    package var peakResidentBytes: Int {
        for line in Self.text("/proc/\(processID)/status").split(separator: "\n")
        where line.hasPrefix("VmHWM:") {
            return (Int(line.split(separator: " ")[1]) ?? 0) * 1024
        }
        return 0
    }

    /// Whether somebody has connected to a Unix socket, also when its owner has not noticed.
    ///
    /// Seen in the kernel's table of sockets: the listener's path is that of every connection to it.
    /// What processes hold says nothing, since they inherit sockets.
    ///
    /// - Parameter address: `unix:` and a path.
    /// - Returns: Whether there is a connection now.
    package static func isConnected(to address: String) -> Bool {
        let path = address.dropFirst("unix:".count)
        let table = try? String(contentsOfFile: "/proc/net/unix", encoding: .utf8)
        // Number, references, protocol, flags, type, state, inode, path.
        return (table ?? "").split(separator: "\n").contains { line in
            let fields = line.split(separator: " ")
            // Flag 0x10000 is on who listens.
            return fields.count >= 8 && fields[7] == path && fields[3] == "00000000"
        }
    }

    /// Lets the vCPUs of its machine run for a while: so long by the processor time they take,
    /// which a busy host does not change.
    ///
    /// - Parameters:
    ///   - milliseconds: Of all vCPUs together, a multiple of 10.
    ///   - seconds: The limit by the clock on the wall.
    /// - Throws: When the process ends before, or the limit is reached.
    package func letGuestRun(milliseconds: Int, within seconds: Double = 20) throws {
        let start = guestTicks
        // The kernel counts them in USER_HZ, 100 a second.
        let isDone = waitUntil(within: seconds) {
            guestTicks >= start + milliseconds / 10 || !process.isRunning
        }
        guard isDone, process.isRunning else {
            throw failure(isDone ? "ended" : "has a guest that does not run")
        }
    }

    /// Processor time of the vCPU threads.
    private var guestTicks: Int {
        let tasks = "/proc/\(processID)/task"
        let numbers = (try? FileManager.default.contentsOfDirectory(atPath: tasks)) ?? []
        return numbers.map { number in
            // "1234 (vcpu-0) R ..."; user time is field 14, system time field 15.
            let halves = Self.text("\(tasks)/\(number)/stat").split(separator: ") ")
            guard halves.count == 2, halves[0].contains("(vcpu-") else { return 0 }
            let fields = halves[1].split(separator: " ")
            return fields.count > 12 ? (Int(fields[11]) ?? 0) + (Int(fields[12]) ?? 0) : 0
        }.reduce(0, +)
    }

    /// An error that shows what the process said.
    package func failure(_ text: String) -> ProcessFailure {
        ProcessFailure("\(name) \(text); its log:\n\(log.suffix(2000))")
    }

    private static func address(in log: String) -> String? {
        let lines = log.split(separator: "\n", omittingEmptySubsequences: false)
        // The last piece has no newline behind it.
        return lines.dropLast().first { $0.hasPrefix("listening on ") }
            .map { String($0.dropFirst("listening on ".count)) }
    }

    private static func fresh(_ path: String) throws -> FileHandle {
        guard FileManager.default.createFile(atPath: path, contents: nil) else {
            throw ProcessFailure("\(path) cannot be created")
        }
        return try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    }

    private static func text(_ path: String) -> String {
        String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
    }
}

/// How many times as long as elsewhere things may take here: an emulated processor is slow.
package let slowness: Double = HostFacts.testbedKernel == nil ? 1 : 5

/// Waits until something is so.
///
/// - Parameters:
///   - seconds: The limit on a real machine; ``slowness`` stretches it.
///   - condition: What is waited for.
/// - Returns: False when it was not so in time.
package func waitUntil(within seconds: Double, _ condition: () -> Bool) -> Bool {
    let end = ContinuousClock.now.advanced(by: .seconds(seconds * slowness))
    while !condition() {
        guard ContinuousClock.now < end else { return condition() }
        usleep(5000)
    }
    return true
}

/// Guest memory for ``Bench/source(memory:vCPUs:_:listen:through:)`` where its size only has to be
/// worth moving: a quarter in the testbed, whose emulated processor takes longest for that.
package func scaledMemory(megabytes: Int) -> String {
    "\(HostFacts.testbedKernel == nil ? megabytes : megabytes / 4)M"
}

/// Lets time pass, ``slowness`` times as much.
package func pause(seconds: Double) {
    usleep(UInt32(seconds * slowness * 1_000_000))
}
