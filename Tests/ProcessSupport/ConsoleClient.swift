// SPDX-License-Identifier: Apache-2.0

internal import LinuxSystem

/// Somebody at the Unix socket of a guest's console.
///
/// For one thread.
package final class ConsoleClient {
    private let socket: Socket
    private var bytes: [UInt8] = []

    /// Connects.
    package init(path: String) throws {
        socket = try Socket.connect(to: .unix(path: path))
    }

    /// What the guest has said so far, without carriage returns.
    package var text: String {
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let outcome = unsafe chunk.withUnsafeMutableBytes { buffer in
                unsafe try? socket.receiveNow(into: buffer)
            }
            guard case .bytes(let count) = outcome else { break }
            bytes += chunk[..<count]
        }
        return String(decoding: bytes.filter { $0 != 0x0D }, as: UTF8.self)
    }

    /// Says something to the guest.
    package func say(_ text: String) {
        _ = socket.sendNow(Array(text.utf8))
    }
}
