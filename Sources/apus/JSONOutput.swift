// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import Foundation

/// Where JSON goes.
struct JSONOutput: ExpressibleByArgument {
    /// A file, which is replaced.
    let path: String

    static let standardOutput = JSONOutput(path: "/dev/stdout")

    init(path: String) { self.path = path }

    init?(argument: String) {
        guard !argument.isEmpty else { return nil }
        path = argument
    }

    /// Whether it takes the place of what a person reads.
    var isStandardOutput: Bool { path == Self.standardOutput.path }

    /// Writes one line of JSON.
    ///
    /// - Throws: ``BenchFailure`` that names the path.
    func write(_ value: some Encodable) throws(BenchFailure) { try write(lines: [value]) }

    /// Writes one line of JSON for each value.
    ///
    /// - Throws: ``BenchFailure`` that names the path.
    func write(lines values: [some Encodable]) throws(BenchFailure) {
        do {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            var text = Data()
            for value in values { text += try encoder.encode(value) + Data("\n".utf8) }
            if isStandardOutput {
                try FileHandle.standardOutput.write(contentsOf: text)
            } else {
                try text.write(to: URL(fileURLWithPath: path))
            }
        } catch {
            throw .failed("\(path) cannot be written: \(error)")
        }
    }
}
