// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import LinuxSystem

/// Where events go: `FILE`, or `fd:N` for a descriptor that the caller has opened.
package enum EventTarget: ExpressibleByArgument, Equatable, Sendable {
    /// A file, which is appended to, or a pipe that somebody reads.
    case file(String)
    /// An open descriptor.
    case descriptor(Int32)

    package init?(argument: String) {
        guard argument.hasPrefix("fd:") else {
            guard !argument.isEmpty else { return nil }
            self = .file(argument)
            return
        }
        guard let number = Int32(argument.dropFirst(3)), number >= 0 else { return nil }
        self = .descriptor(number)
    }

    /// Opens it.
    ///
    /// - Throws: ``UnusableOutput`` with cause and remedy.
    func open() throws(UnusableOutput) -> LineOutput {
        do {
            switch self {
            case .file(let path): return try LineOutput(appendingTo: path)
            case .descriptor(let number): return try LineOutput(writingTo: number)
            }
        } catch {
            throw UnusableOutput(flag: "--events", error)
        }
    }
}
