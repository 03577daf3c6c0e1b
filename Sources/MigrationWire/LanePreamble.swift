// SPDX-License-Identifier: Apache-2.0

/// The random number that ties further lanes to a session.
package struct SessionKey: Equatable, Sendable {
    /// Bytes of a key.
    package static let byteCount = 16
    /// The key; zero on the control lane, which has none yet.
    package let bytes: [16 of UInt8]

    /// A key nobody can guess, from the system's random numbers.
    package static func random() -> SessionKey {
        var generator = SystemRandomNumberGenerator()
        return SessionKey(bytes: InlineArray { _ in UInt8.random(in: 0...255, using: &generator) })
    }

    /// No key: what the control lane presents.
    package static var none: SessionKey { SessionKey(bytes: InlineArray(repeating: 0)) }

    /// - Parameter bytes: The key.
    package init(bytes: [16 of UInt8]) {
        self.bytes = bytes
    }

    /// Reads a key from a message; nil unless it has 16 bytes.
    package init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        var key: [16 of UInt8] = InlineArray(repeating: 0)
        for (index, byte) in bytes.enumerated() { key[index] = byte }
        self.bytes = key
    }

    /// The bytes, for a message.
    package var array: [UInt8] { (0..<Self.byteCount).map { bytes[$0] } }

    /// Compares in a time that does not depend on where the keys differ.
    package static func == (left: SessionKey, right: SessionKey) -> Bool {
        var difference: UInt8 = 0
        for index in 0..<byteCount { difference |= left.bytes[index] ^ right.bytes[index] }
        return difference == 0
    }
}

/// The first 32 bytes on every lane, from the side that connects.
///
/// Layout (PROTOCOL.md, "Opening a lane"): magic 8 · version u16 · kind u8 · index u8 ·
/// ring u8 · two sizes u8 · reserved u8 · session key 16.
package struct LanePreamble: Equatable, Sendable {
    /// Bytes of a preamble.
    package static let byteCount = 32
    /// `APUSLANE`, read as a little-endian number.
    package static let magic: UInt64 = 0x454e_414c_5355_5041

    /// Which lane this is to be.
    package let lane: LaneName
    /// Protocol version of the side that connects.
    package let version: UInt16
    /// The session it belongs to.
    package let key: SessionKey
    /// The rings whose memory comes with the preamble; nil for a lane over its socket alone.
    package let ring: RingShape?

    /// - Parameters:
    ///   - lane: Which lane this is to be.
    ///   - version: Protocol version spoken.
    ///   - key: The session; ``SessionKey/none`` for the control lane.
    ///   - ring: The rings that are offered; nil on the control lane.
    package init(
        lane: LaneName,
        version: UInt16 = WireLimits.version,
        key: SessionKey,
        ring: RingShape? = nil
    ) {
        precondition(ring == nil || lane != .control, "the control lane has no ring")
        self.lane = lane
        self.version = version
        self.key = key
        self.ring = ring
    }

    /// Checks and reads the 32 bytes.
    package init(parsing bytes: UnsafeRawBufferPointer) throws(RefusalReason) {
        precondition(bytes.count == Self.byteCount)
        let magic = unsafe bytes.little(UInt64.self, at: 0)
        guard magic == Self.magic else { throw .magic(found: magic) }
        version = unsafe bytes.little(UInt16.self, at: 8)
        guard version == WireLimits.version else { throw .version(found: version) }
        let index = unsafe bytes[11]
        switch unsafe bytes[10] {
        case 0 where index == 0: lane = .control
        case 1 where index < WireLimits.lanesOfAKind: lane = .urgent(index)
        case 2 where index < WireLimits.lanesOfAKind: lane = .bulk(index)
        case let kind: throw .lane(kind: kind, index: index)
        }
        switch unsafe bytes[12] {
        case 0:
            guard unsafe bytes.little(UInt32.self, at: 12) == 0 else { throw .reservedBits }
            ring = nil
        case 1 where lane != .control:
            guard unsafe bytes[15] == 0 else { throw .reservedBits }
            let (toSource, toDestination) = unsafe (bytes[13], bytes[14])
            guard
                let shape = RingShape(toSourceBits: toSource, toDestinationBits: toDestination)
            else { throw .ringSizes(toSource: toSource, toDestination: toDestination) }
            ring = shape
        default: throw .reservedBits
        }
        key = SessionKey(bytes: InlineArray { unsafe bytes[16 + $0] })
    }

    /// Writes the 32 bytes.
    package func write(to bytes: UnsafeMutableRawBufferPointer) {
        precondition(bytes.count == Self.byteCount)
        let (kind, index): (UInt8, UInt8) =
            switch lane {
            case .control: (0, 0)
            case .urgent(let index): (1, index)
            case .bulk(let index): (2, index)
            }
        unsafe bytes.store(little: Self.magic, at: 0)
        unsafe bytes.store(little: version, at: 8)
        unsafe bytes.store(little: kind, at: 10)
        unsafe bytes.store(little: index, at: 11)
        unsafe bytes.store(little: UInt8(ring == nil ? 0 : 1), at: 12)
        unsafe bytes.store(little: ring?.toSourceBits ?? 0, at: 13)
        unsafe bytes.store(little: ring?.toDestinationBits ?? 0, at: 14)
        unsafe bytes.store(little: UInt8(0), at: 15)
        for offset in 0..<SessionKey.byteCount { unsafe bytes[16 + offset] = key.bytes[offset] }
    }
}
