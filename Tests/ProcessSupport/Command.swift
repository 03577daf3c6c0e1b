// SPDX-License-Identifier: Apache-2.0

internal import Foundation

/// A program that is run to its end.
package enum Command {
    /// Where an executable of this package is: SwiftPM puts it into the test bundle's folder.
    package static func pathOfProduct(_ name: String) -> String {
        let bundle = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let folder = (bundle ?? "/").split(separator: "/").dropLast()
        return "/" + (folder + [name[...]]).joined(separator: "/")
    }

    /// Runs a program found in PATH.
    ///
    /// - Parameters:
    ///   - words: The program and its arguments.
    ///   - seconds: When it is ended, with exit code 124.
    /// - Returns: Its exit code, and what it wrote to both outputs.
    package static func run(
        _ words: [String],
        within seconds: Int = 20
    ) -> (code: Int32, text: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        // Debian keeps administrators' programs out of other users' PATH.
        process.arguments =
            [
                "timeout", "--kill-after=5", "\(seconds)", "env",
                "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            ]
            + words
        let pipe = Pipe()
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = pipe
        process.standardError = pipe
        do {
            try process.run()
        } catch {
            return (-1, "\(error)")
        }
        try? pipe.fileHandleForWriting.close()
        let data = (try? pipe.fileHandleForReading.readToEnd()) ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }
}
