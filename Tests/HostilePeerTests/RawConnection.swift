// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import MigrationWire
import ProcessSupport

/// A socket that says whatever a test wants it to say.
///
/// No checks: that is the point.
final class RawConnection: Sendable {
    private let socket: Socket

    /// Connects to an address as the executables print it.
    convenience init(to address: String, patience: Duration = .seconds(20)) throws {
        guard let parsed = SocketAddress(address) else {
            throw ProcessFailure("'\(address)' is no address")
        }
        try self.init(Socket.connect(to: parsed), patience: patience)
    }

    init(_ socket: consuming Socket, patience: Duration? = .seconds(20)) throws {
        try socket.limitBlocking(to: patience)
        self.socket = socket
    }

    /// Bounds every later wait.
    func limitPatience(to duration: Duration) { try? socket.limitBlocking(to: duration) }

    /// Sends bytes.
    ///
    /// - Returns: False when the peer has gone, which is no error here.
    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        unsafe bytes.withUnsafeBytes { buffer in
            do {
                try unsafe socket.send(buffer, UnsafeRawBufferPointer(start: nil, count: 0))
                return true
            } catch {
                return false
            }
        }
    }

    /// Receives exactly so many bytes; nil when the connection ended before, or was silent.
    func receive(_ byteCount: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: byteCount)
        var count = 0
        while count < byteCount {
            let outcome = unsafe bytes.withUnsafeMutableBytes { buffer in
                try? unsafe socket.receive(into: .init(rebasing: buffer[count...]))
            }
            guard case .bytes(let more)? = outcome else { return nil }
            count += more
        }
        return bytes
    }

    /// Whether the peer ends the connection in time; what it sends before is dropped.
    func isClosedByPeer(within seconds: Double = 8) -> Bool {
        try? socket.limitBlocking(to: .milliseconds(100))
        var bytes = [UInt8](repeating: 0, count: 65_536)
        return waitUntil(within: seconds) {
            unsafe bytes.withUnsafeMutableBytes { buffer in
                do {
                    return try unsafe socket.receive(into: buffer) == .closed
                } catch {
                    // EAGAIN: still open, and silent.
                    return (error as? SystemError)?.code != 11
                }
            }
        }
    }

    /// Receives one control message, prefix and all.
    func receiveControl() -> [UInt8]? {
        guard let prefix = receive(4) else { return nil }
        guard let body = receive(Int(prefix.little(UInt32.self, at: 0))) else { return nil }
        return prefix + body
    }

    /// Receives one frame of a page lane.
    func receiveFrame() -> [UInt8]? {
        guard let header = receive(32) else { return nil }
        let entries = Int(header.little(UInt16.self, at: 2))
        let payload = Int(header.little(UInt32.self, at: 4))
        guard let body = receive(entries * 16 + payload) else { return nil }
        return header + body
    }

    /// Ends both directions.
    func close() { socket.shutdown() }
}

extension [UInt8] {
    /// Reads a little-endian number.
    func little<Number: FixedWidthInteger>(_: Number.Type, at offset: Int) -> Number {
        self[offset..<offset + MemoryLayout<Number>.size].reversed()
            .reduce(0) { $0 << 8 | Number(truncatingIfNeeded: $1) }
    }

    /// The same bytes with a little-endian number written over some of them.
    func with<Number: FixedWidthInteger>(_ value: Number, at offset: Int) -> [UInt8] {
        var bytes = self
        for index in 0..<MemoryLayout<Number>.size {
            bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index))
        }
        return bytes
    }
}
