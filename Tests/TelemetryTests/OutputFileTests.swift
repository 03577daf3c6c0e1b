// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import LinuxSystem
import Telemetry
import Testing

/// Whether a file can be written is known before it is.
struct OutputFileTests {
    private let folder = "/tmp/apus-output.\(getpid()).\(UInt64.random(in: 0 ... .max))"

    private func inFolder(_ body: () throws -> Void) throws {
        try FileManager.default.createDirectory(
            atPath: folder,
            withIntermediateDirectories: false
        )
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body()
    }

    private func code(_ path: String) -> CInt? {
        do throws(SystemError) {
            try OutputFile.probe(path)
            return nil
        } catch {
            return error.code
        }
    }

    @Test func `a path that can be written passes, and nothing is left`() throws {
        try inFolder {
            let path = folder + "/report.json"
            #expect(code(path) == nil)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
            try OutputFile.replace(path, with: Data("old".utf8))
            #expect(code(path) == nil)
            #expect(FileManager.default.contents(atPath: path) == Data("old".utf8))
            #expect(code("/dev/stdout") == nil || code("/dev/stdout") == ENOENT)
            #expect(code("/dev/null") == nil)
        }
    }

    @Test func `a path that cannot be written fails with its errno`() throws {
        try inFolder {
            #expect(code(folder + "/no/such/folder") == ENOENT)
            #expect(code(folder) == EISDIR)
            #expect(code("/proc/report.json") != nil)
            try FileManager.default.createSymbolicLink(
                atPath: folder + "/dangling",
                withDestinationPath: folder + "/nothing"
            )
            #expect(code(folder + "/dangling") == ENOENT)
        }
    }
}
