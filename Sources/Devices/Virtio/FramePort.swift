// SPDX-License-Identifier: Apache-2.0

/// Where a network card is plugged in.
///
/// For one thread at a time; nothing waits.
package protocol FramePort: Sendable {
    /// Takes a frame that has arrived.
    func receive() -> FrameArrival

    /// Sends a frame, which may be lost, as frames may.
    func send(_ frame: [UInt8])
}

/// What came of looking for a frame.
package enum FrameArrival: Equatable, Sendable {
    /// This one.
    case frame([UInt8])
    /// There is none yet.
    case notYet
    /// None will ever arrive any more.
    case closed
}

/// An Ethernet address.
package struct EthernetAddress: Equatable, Sendable, CustomStringConvertible {
    /// Six of them.
    package let bytes: [UInt8]

    /// Takes bytes that may come from a peer; nil unless they are six, of one station.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == 6, bytes[0] & 1 == 0 else { return nil }
        self.bytes = bytes
    }

    /// Reads `52:54:00:12:34:56`; nil for anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let bytes = parts.compactMap { $0.utf8.count == 2 ? UInt8($0, radix: 16) : nil }
        guard bytes.count == parts.count else { return nil }
        self.init(bytes)
    }

    /// One that nobody else has, as far as chance goes: locally administered.
    package static func random() -> EthernetAddress {
        var bytes: [UInt8] = [0x52, 0x54, 0x00]
        for _ in 0..<3 { bytes.append(.random(in: .min ... .max)) }
        return EthernetAddress(unchecked: bytes)
    }

    private init(unchecked bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// For example `52:54:00:12:34:56`.
    package var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }
}
