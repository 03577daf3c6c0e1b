// SPDX-License-Identifier: Apache-2.0

import MigrationWire
import SwiftProtobuf

/// Messages byte by byte, as PROTOCOL.md has them, for tests that then spoil them.
enum RawBytes {
    /// A lane's first 32 bytes.
    static func preamble(
        kind: UInt8,
        index: UInt8 = 0,
        version: UInt16 = 6,
        key: [UInt8] = [UInt8](repeating: 0, count: 16)
    ) -> [UInt8] {
        Array("APUSLANE".utf8) + [UInt8(version & 0xFF), UInt8(version >> 8), kind, index]
            + [0, 0, 0, 0] + key
    }

    /// A control message with its length.
    static func control(_ body: WireControlMessage.OneOf_Body) -> [UInt8] {
        var message = WireControlMessage()
        message.body = body
        let bytes: [UInt8] = (try? message.serializedBytes()) ?? []
        return framed(bytes)
    }

    /// Any bytes with their length before them, as a control message.
    static func framed(_ bytes: [UInt8]) -> [UInt8] {
        [UInt8](repeating: 0, count: 4).with(UInt32(bytes.count), at: 0) + bytes
    }

    /// What a control message with its length says.
    static func body(of bytes: [UInt8]?) -> WireControlMessage.OneOf_Body? {
        guard let bytes, bytes.count > 4 else { return nil }
        return (try? WireControlMessage(serializedBytes: Array(bytes[4...])))?.body
    }

    /// The head of a frame.
    static func header(
        kind: UInt8,
        entries: UInt16,
        payload: UInt32 = 0,
        sequence: UInt64 = 0,
        token: UInt64 = 0
    ) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 32)
        bytes[0] = kind
        return bytes.with(entries, at: 2).with(payload, at: 4).with(sequence, at: 8)
            .with(token, at: 16)
    }

    /// A frame that asks for one page.
    static func request(
        page: UInt64,
        requestClass: UInt8 = 0,
        sequence: UInt64 = 0
    ) -> [UInt8] {
        var entry = [UInt8](repeating: 0, count: 16)
        entry[8] = requestClass
        return header(kind: 1, entries: 1, sequence: sequence, token: 7) + entry.with(page, at: 0)
    }

    /// A frame of one page.
    static func page(
        _ number: UInt64,
        _ contents: EncodedPage,
        sequence: UInt64 = 0,
        token: UInt64 = 0
    ) -> [UInt8] {
        var entry = [UInt8](repeating: 0, count: 16)
        entry[12] = contents.encoding
        let count = UInt32(contents.bytes.count)
        return header(kind: 2, entries: 1, payload: count, sequence: sequence, token: token)
            + entry.with(number, at: 0).with(count, at: 8) + contents.bytes
    }

    /// A page as a frame has it.
    struct EncodedPage: Sendable {
        var encoding: UInt8
        var bytes: [UInt8]

        static let zero = EncodedPage(encoding: 0, bytes: [])
    }

    /// What a frame of pages has of one of them.
    static func contents(of page: UInt64, in frame: [UInt8]) -> EncodedPage? {
        let entries = Int(frame.little(UInt16.self, at: 2))
        let end = 32 + 16 * entries
        var start = end
        for entry in stride(from: 32, to: end, by: 16) {
            let count = Int(frame.little(UInt32.self, at: entry + 8))
            if frame.little(UInt64.self, at: entry) == page {
                let bytes = Array(frame[start..<start + count])
                return EncodedPage(encoding: frame[entry + 12], bytes: bytes)
            }
            start += count
        }
        return nil
    }
}
