// SPDX-License-Identifier: Apache-2.0

/// Why a lane, or a whole session, is refused.
///
/// Both values are named where there are two.
package enum RefusalReason: Error, Equatable, CustomStringConvertible {
    /// Not this protocol at all.
    case magic(found: UInt64)
    /// Another version of the protocol.
    case version(found: UInt16)
    /// No such lane, or one that is open already.
    case lane(kind: UInt8, index: UInt8)
    /// Reserved bits that are not zero.
    case reservedBits
    /// Not the key of the session; which one it was is not said.
    case sessionKey
    /// Sizes of rings, as logarithms, that are not allowed.
    case ringSizes(toSource: UInt8, toDestination: UInt8)
    /// Memory for rings that is no sealed memfd of the size announced.
    case ringMemory
    /// Rings were asked for, and the source takes none.
    case noRing
    /// A migration of this guest is under way.
    case busy
    /// Another size of pages.
    case pageByteCount(source: Int, destination: Int)
    /// Another layout of guest memory.
    case memoryLayout(source: String, destination: String)
    /// Another number of vCPUs.
    case vCPUCount(source: Int, destination: Int)
    /// A machine that cannot be, or not here.
    case machine(String)

    /// A sentence for a person.
    package var description: String {
        switch self {
        case .magic(let found):
            "wrong magic: expected \(hexadecimal(LanePreamble.magic)), found \(hexadecimal(found))"
        case .version(let found):
            "protocol version differs: here \(WireLimits.version), there \(found)"
        case .lane(let kind, let index): "no lane of kind \(kind) and index \(index) is expected"
        case .reservedBits: "reserved bits are not zero"
        case .sessionKey: "wrong session key"
        case .ringSizes(let toSource, let toDestination):
            "rings of 2^\(toSource) and 2^\(toDestination) bytes where each has 2^"
                + "\(RingShape.allowedBits.lowerBound) to 2^\(RingShape.allowedBits.upperBound)"
        case .ringMemory: "the memory for a ring lane is no sealed memfd of the announced size"
        case .noRing:
            "the source takes no rings, or what connects the two does not pass their memory on: "
                + "use --transport auto or socket"
        case .busy: "a migration is under way already"
        case .pageByteCount(let source, let destination):
            "page size differs: source \(source) bytes, destination \(destination) bytes"
        case .memoryLayout(let source, let destination):
            "memory layout differs: source \(source); destination \(destination)"
        case .vCPUCount(let source, let destination):
            "number of vCPUs differs: source \(source), destination \(destination)"
        case .machine(let reason): reason
        }
    }
}

private func hexadecimal(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

/// The 16 bytes with which the accepting side answers a preamble.
///
/// Layout (PROTOCOL.md, "Opening a lane"): magic 8 · version u16 · verdict u8 · ring u8 ·
/// reserved 4.
package struct LaneAnswer: Equatable, Sendable {
    /// Bytes of an answer.
    package static let byteCount = 16

    /// What the accepting side says.
    package enum Verdict: UInt8, Sendable {
        /// The lane is open.
        case accepted = 0
        /// Another protocol version; the answer's own version says which is spoken.
        case wrongVersion = 1
        /// The preamble makes no sense here.
        case refused = 2
        /// A migration is under way already.
        case busy = 3
    }

    /// What the accepting side says.
    package let verdict: Verdict
    /// The version it speaks.
    package let version: UInt16
    /// Whether the lane goes over the rings that were offered; only when it is accepted.
    package let takesRing: Bool

    /// - Parameters:
    ///   - verdict: What is said.
    ///   - version: The version spoken here.
    ///   - takesRing: Whether the rings that were offered are taken.
    package init(
        verdict: Verdict,
        version: UInt16 = WireLimits.version,
        takesRing: Bool = false
    ) {
        precondition(verdict == .accepted || !takesRing, "a refused lane has no ring")
        self.verdict = verdict
        self.version = version
        self.takesRing = takesRing
    }

    /// The answer to a preamble that was refused.
    package init(refusing reason: RefusalReason) {
        let verdict: Verdict =
            switch reason {
            case .version: .wrongVersion
            case .busy: .busy
            default: .refused
            }
        self.init(verdict: verdict)
    }

    /// Checks and reads the 16 bytes.
    package init(parsing bytes: UnsafeRawBufferPointer) throws(RefusalReason) {
        precondition(bytes.count == Self.byteCount)
        let magic = unsafe bytes.little(UInt64.self, at: 0)
        guard magic == LanePreamble.magic else { throw .magic(found: magic) }
        version = unsafe bytes.little(UInt16.self, at: 8)
        guard let verdict = Verdict(rawValue: unsafe bytes[10]),
            unsafe bytes[11] <= (verdict == .accepted ? 1 : 0),
            unsafe bytes.little(UInt32.self, at: 12) == 0
        else { throw .reservedBits }
        self.verdict = verdict
        takesRing = unsafe bytes[11] == 1
    }

    /// Writes the 16 bytes.
    package func write(to bytes: UnsafeMutableRawBufferPointer) {
        precondition(bytes.count == Self.byteCount)
        unsafe bytes.store(little: LanePreamble.magic, at: 0)
        unsafe bytes.store(little: version, at: 8)
        unsafe bytes.store(little: verdict.rawValue, at: 10)
        unsafe bytes.store(little: UInt8(takesRing ? 1 : 0), at: 11)
        unsafe bytes.store(little: UInt32(0), at: 12)
    }
}
