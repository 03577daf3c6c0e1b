// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import Synchronization

/// A folder of its own for one test, removed with all that is in it.
package final class ScratchFolder: Sendable {
    /// Its absolute path, short enough for Unix sockets.
    package let path: String
    private static let counter = Atomic<Int>(0)
    private let names = Atomic<Int>(0)

    /// Makes the folder below /tmp.
    package init() throws {
        let number = Self.counter.wrappingAdd(1, ordering: .relaxed).newValue
        path = "/tmp/apus-test.\(ProcessInfo.processInfo.processIdentifier).\(number)"
        try FileManager.default.createDirectory(
            atPath: path,
            withIntermediateDirectories: false
        )
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    /// A path in it that nobody has used.
    package func file(_ name: String) -> String {
        "\(path)/\(name).\(names.wrappingAdd(1, ordering: .relaxed).newValue)"
    }

    /// The address of a Unix socket in it that nobody has used.
    package func address() -> String { "unix:\(file("socket"))" }
}
