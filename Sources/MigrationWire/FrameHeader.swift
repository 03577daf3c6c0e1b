// SPDX-License-Identifier: Apache-2.0

/// What a frame on a page lane carries.
package enum FrameKind: UInt8, Sendable {
    /// Pages wanted: destination to source, on urgent lanes.
    case requests = 1
    /// Pages: source to destination.
    case pages = 2
    /// Nothing more follows on this bulk lane.
    case endOfStream = 3
    /// The pages of a precopy round have all been sent; its number is the token.
    case endOfRound = 4
}

/// The fixed 32 bytes at the head of every frame on a page lane.
///
/// Layout (PROTOCOL.md, "Frames"), little-endian: kind u8 · reserved u8 · entries u16 ·
/// payload bytes u32 · sequence u64 · token u64 · served u64.
package struct FrameHeader: Equatable, Sendable {
    /// Bytes of a header.
    package static let byteCount = 32
    /// The token of a frame of the background stream.
    package static let streamToken: UInt64 = 0
    /// The token, on a bulk lane, of pages that are sent before anybody has asked for them.
    package static let prefetchToken: UInt64 = 1

    /// The token, on a bulk lane, of pages of a precopy round, which may come again.
    package static let precopyToken: UInt64 = 2

    /// What follows.
    package let kind: FrameKind
    /// Entries that follow the header, at most ``WireLimits/entriesPerFrame``.
    package let entryCount: Int
    /// Bytes that follow the entries, at most ``WireLimits/payloadByteCount``.
    package let payloadByteCount: Int
    /// Number of the frame on its lane and in its direction, from zero.
    package let sequence: UInt64
    /// The requester's own mark, which comes back with the answer; on a bulk lane
    /// ``streamToken``, ``prefetchToken`` or ``precopyToken``, or the number of a round.
    package let token: UInt64
    /// When an answer was made, on the source's CLOCK_MONOTONIC in nanoseconds; zero elsewhere.
    package let servedNanoseconds: UInt64

    /// - Parameters:
    ///   - kind: What follows.
    ///   - entryCount: Entries that follow.
    ///   - payloadByteCount: Bytes behind the entries.
    ///   - sequence: Number of the frame on its lane.
    ///   - token: The requester's mark.
    ///   - servedNanoseconds: When an answer was made.
    package init(
        kind: FrameKind,
        entryCount: Int,
        payloadByteCount: Int,
        sequence: UInt64,
        token: UInt64 = 0,
        servedNanoseconds: UInt64 = 0
    ) {
        self.kind = kind
        self.entryCount = entryCount
        self.payloadByteCount = payloadByteCount
        self.sequence = sequence
        self.token = token
        self.servedNanoseconds = servedNanoseconds
    }

    /// Bytes of the frame behind this header.
    package var bodyByteCount: Int {
        let entryByteCount =
            switch kind {
            case .requests: RequestEntry.byteCount
            case .pages: PageEntry.byteCount
            case .endOfStream, .endOfRound: 0
            }
        return entryCount * entryByteCount + payloadByteCount
    }

    /// Checks and reads the 32 bytes.
    ///
    /// - Parameters:
    ///   - bytes: Exactly ``byteCount`` bytes that nobody else can change.
    ///   - sequence: The number that is due.
    /// - Throws: The ``FrameDefect`` that was found first.
    package init(
        parsing bytes: UnsafeRawBufferPointer,
        expecting sequence: UInt64
    ) throws(FrameDefect) {
        precondition(bytes.count == Self.byteCount)
        guard let kind = FrameKind(rawValue: unsafe bytes[0]) else {
            throw .kind(unsafe bytes[0])
        }
        guard unsafe bytes[1] == 0 else { throw .reservedBits }
        let entries = Int(unsafe bytes.little(UInt16.self, at: 2))
        let payload = Int(unsafe bytes.little(UInt32.self, at: 4))
        let (fewest, most, largest) =
            switch kind {
            case .requests: (1, WireLimits.entriesPerFrame, 0)
            case .pages: (1, WireLimits.entriesPerFrame, WireLimits.payloadByteCount)
            case .endOfStream, .endOfRound: (0, 0, 0)
            }
        guard entries >= fewest, entries <= most else { throw .entryCount(entries) }
        guard payload <= largest else {
            throw .payload(found: UInt64(payload), expected: UInt64(largest))
        }
        let found = unsafe bytes.little(UInt64.self, at: 8)
        guard found == sequence else { throw .sequence(found: found, expected: sequence) }
        self.kind = kind
        entryCount = entries
        payloadByteCount = payload
        self.sequence = found
        token = unsafe bytes.little(UInt64.self, at: 16)
        servedNanoseconds = unsafe bytes.little(UInt64.self, at: 24)
    }

    /// Writes the 32 bytes.
    package func write(to bytes: UnsafeMutableRawBufferPointer) {
        precondition(bytes.count == Self.byteCount)
        unsafe bytes.store(little: kind.rawValue, at: 0)
        unsafe bytes.store(little: UInt8(0), at: 1)
        unsafe bytes.store(little: UInt16(entryCount), at: 2)
        unsafe bytes.store(little: UInt32(payloadByteCount), at: 4)
        unsafe bytes.store(little: sequence, at: 8)
        unsafe bytes.store(little: token, at: 16)
        unsafe bytes.store(little: servedNanoseconds, at: 24)
    }
}
