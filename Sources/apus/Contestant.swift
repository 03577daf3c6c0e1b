// SPDX-License-Identifier: Apache-2.0

internal import Dispatch
internal import Foundation
internal import Glibc
internal import KVM

/// A program on a fault path, which can be run as a process of its own.
struct Contestant: Codable, Equatable {
    /// Which program.
    enum Program: String, Codable {
        /// This one.
        case apus
        /// The kernel's demand_paging_test.
        case selftest
    }

    let program: Program
    /// The path's name, see ``FaultPath``.
    let path: String

    init(_ program: Program, _ path: FaultPath) {
        self.program = program
        self.path = path.rawValue
    }

    /// Runs it once.
    ///
    /// - Parameters:
    ///   - parameters: The experiment; the path is the contestant's.
    ///   - selftest: Where the kernel's program is.
    /// - Returns: Pages of 4 KiB in a second, of all vCPUs; nil when the run failed, and then the
    ///   program has said why on standard error.
    func run(_ parameters: PagingParameters, selftest: String) -> Double? {
        let seconds = parameters.limitSeconds
        switch program {
        case .apus:
            let exits = path == FaultPath.userfault.rawValue ? [] : ["-w", path]
            let arguments =
                ["bench", "demand-paging"] + parameters.arguments(hugetlb: "hugetlb") + exits
                + (parameters.prefaults ? [] : ["--no-prefault"])
                + ["--limit", "\(seconds)", "--json"]
            guard let program = try? Self.ownPath(),
                // It gives up by itself, with a reason.
                let output = Self.output(of: program, arguments, within: seconds + 10)
            else { return nil }
            return try? JSONDecoder().decode(PagingResult.self, from: output).pagesPerSecond
        case .selftest:
            let exits = path == FaultPath.userfault.rawValue ? [] : ["-w"]
            let arguments = parameters.arguments(hugetlb: "shared_hugetlb") + exits
            return Self.output(of: selftest, arguments, within: seconds)
                .flatMap(Self.selftestRate)
        }
    }

    private static func ownPath() throws -> String {
        try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    }

    private static func selftestRate(_ output: Data) -> Double? {
        for line in String(decoding: output, as: UTF8.self).split(separator: "\n")
        where line.hasPrefix("Overall demand paging rate:") {
            return line.split { $0 == " " || $0 == "\t" }.lazy.compactMap { Double($0) }.first
        }
        return nil
    }

    /// What a program writes to standard output, if it ends with exit code 0 and in time.
    private static func output(
        of program: String,
        _ arguments: [String],
        within seconds: Int
    ) -> Data? {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        let pipe = Pipe()
        process.standardOutput = pipe
        guard (try? process.run()) != nil else { return nil }
        let processID = process.processIdentifier
        let watchdog = DispatchWorkItem { kill(processID, SIGKILL) }
        DispatchQueue.global().asyncAfter(
            deadline: .now() + .seconds(seconds),
            execute: watchdog
        )
        let data = try? pipe.fileHandleForReading.readToEnd()
        watchdog.cancel()
        process.waitUntilExit()
        guard process.terminationReason == .exit, process.terminationStatus == 0 else {
            return nil
        }
        return data
    }
}
