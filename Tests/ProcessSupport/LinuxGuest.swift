// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import TestSupport

/// The Linux guest of tests: its files, and what its observer says on its console.
package struct LinuxGuest: Sendable {
    private let kernel: String
    private let initrd: String

    /// The guest that `deploy/guest/build` makes, as `APUS_GUEST_KERNEL` and `APUS_GUEST_INITRD`
    /// name it; nil without them, and on hosts that would take hours for it.
    package static let here: LinuxGuest? = {
        let environment = ProcessInfo.processInfo.environment
        guard HostFacts.testbedKernel != nil, let kernel = environment["APUS_GUEST_KERNEL"],
            let initrd = environment["APUS_GUEST_INITRD"]
        else { return nil }
        return LinuxGuest(kernel: kernel, initrd: initrd)
    }()

    /// The same with Debian's own cloud kernel, as `APUS_GUEST_DEBIAN_KERNEL` names it; nil without.
    package static let debian: LinuxGuest? = {
        guard let here,
            let kernel = ProcessInfo.processInfo.environment["APUS_GUEST_DEBIAN_KERNEL"]
        else { return nil }
        return LinuxGuest(kernel: kernel, initrd: here.initrd)
    }()

    /// Flags of a source that boots it.
    ///
    /// - Parameters:
    ///   - console: File for its console.
    ///   - options: For the observer, see deploy/guest/observer.c.
    /// - Returns: The flags.
    package func flags(console: String, _ options: String) -> [String] {
        [
            "--guest", "linux", "--kernel", kernel, "--initrd", initrd, "--console",
            "file:\(console)", "--cmdline", "console=ttyS0 quiet panic=-1 \(options)",
        ]
    }

    /// All that is in the file of a console, without carriage returns.
    package static func text(_ console: String) -> String {
        let data = FileManager.default.contents(atPath: console) ?? Data()
        return String(decoding: data, as: UTF8.self).replacingOccurrences(of: "\r", with: "")
    }

    /// Waits for something on a console; ``slowness`` stretches the limit.
    package static func wait(
        for what: String,
        within seconds: Double = 20,
        _ isThere: () -> Bool
    ) throws {
        guard waitUntil(within: seconds, isThere) else { throw ProcessFailure("no \(what)") }
    }

    /// What the observer says once a second.
    package struct Report: Equatable, Sendable {
        /// Its count of seconds.
        package let second: Int
        /// Pages verified so far.
        package let pages: Int
        /// Largest gap by TSC, CLOCK_MONOTONIC and CLOCK_REALTIME, in microseconds.
        package let gaps: [UInt64]

        /// The guest's CLOCK_REALTIME when it said so, in seconds.
        package let wallClock: Double

        /// Reads `observer: 3 s, 4711 pages verified, gap tsc 1 us monotonic 2 us realtime 3 us, wall
        /// 1700000000.000004`, in one line; nil for any other line.
        init?(_ line: Substring) {
            let words = line.split(separator: " ")
            guard words.count == 18, words[0] == "observer:", words[2] == "s,",
                let second = Int(words[1]), let pages = Int(words[3]),
                let wallClock = Double(words[17])
            else { return nil }
            self.wallClock = wallClock
            self.second = second
            self.pages = pages
            gaps = [8, 11, 14].compactMap { UInt64(words[$0]) }
        }
    }

    /// The observer's reports in the file of a console.
    package static func reports(_ console: String) -> [Report] {
        reports(in: text(console))
    }

    /// The same in a text; a last line that is not whole does not count.
    ///
    /// The guest's kernel may say something in the middle of a line of its observer, which goes on
    /// behind that.
    package static func reports(in text: String) -> [Report] {
        text.replacing(#/\[ *[0-9]+\.[0-9]{6}\] [^\n]*\n/#, with: "")
            .split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            .compactMap { Report($0) }
    }
}
