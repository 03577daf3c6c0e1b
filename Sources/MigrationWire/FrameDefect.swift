// SPDX-License-Identifier: Apache-2.0

/// What is wrong with a message of a peer.
package enum FrameDefect: Error, Equatable, Sendable, CustomStringConvertible {
    /// A kind of frame that does not exist, or not on this lane in this direction.
    case kind(UInt8)
    /// Reserved bits that are not zero.
    case reservedBits
    /// No entries, or more than ``WireLimits/entriesPerFrame``.
    case entryCount(Int)
    /// A payload larger than allowed, or not the sum of its entries.
    case payload(found: UInt64, expected: UInt64)
    /// Not the number that follows the previous frame's: lost, repeated or reordered.
    case sequence(found: UInt64, expected: UInt64)
    /// A token that has no meaning on a bulk lane.
    case token(UInt64)
    /// A page that the guest does not have.
    case page(UInt64)
    /// Bytes of a page that do not fit its encoding.
    case pageByteCount(page: UInt64, found: UInt32)
    /// An encoding that does not exist.
    case encoding(page: UInt64, found: UInt8)
    /// A class of requests that does not exist.
    case requestClass(UInt8)
    /// LZ4 data that does not decompress to exactly one page.
    case compressedPage(page: UInt64)
    /// A ring's cursor that went back, or further than the ring is long: `found` bytes between
    /// the two cursors.
    case ringCursor(found: UInt32, allowed: ClosedRange<UInt32>)
    /// Bytes on the socket of a ring lane, where nothing is said any more.
    case ringSocket
    /// A control message longer than one of its kind may be, or empty.
    case messageByteCount(UInt64)
    /// A control message that does not parse.
    case message
    /// A control message that has no place here.
    case unexpectedMessage(String, expected: String)
    /// A field of a control message with a value that is not allowed.
    case field(String)
    /// A page to be discarded that has not come, or comes no more.
    case discard(page: UInt64)
    /// Pages, or the end of the stream, where only rounds may bring something.
    case early(kind: UInt8)
    /// The end of a precopy round that is not the one under way.
    case round(found: UInt64)
    /// Every page is said to have arrived, but some were never sent.
    case unsentPages(Int)
    /// The stream ended although pages are missing.
    case missingPages(Int)

    /// A clause for a person.
    package var description: String {
        switch self {
        case .kind(let kind): "frame of unknown kind \(kind)"
        case .reservedBits: "reserved bits are not zero"
        case .entryCount(let count):
            "\(count) entries in a frame (1 to \(WireLimits.entriesPerFrame) are allowed)"
        case .payload(let found, let expected):
            "payload of \(found) bytes where \(expected) fit"
        case .sequence(let found, let expected):
            "frame number \(found) where \(expected) was due"
        case .token(let token): "token \(token) on a bulk lane"
        case .page(let page): "page \(page) does not exist"
        case .pageByteCount(let page, let found): "\(found) bytes for page \(page)"
        case .encoding(let page, let found): "unknown encoding \(found) of page \(page)"
        case .requestClass(let found): "unknown request class \(found)"
        case .compressedPage(let page): "page \(page) does not decompress to a page"
        case .ringCursor(let found, let allowed):
            "ring cursors \(found) bytes apart where "
                + "\(allowed.lowerBound) to \(allowed.upperBound) are possible"
        case .ringSocket: "bytes on the socket of a ring lane"
        case .messageByteCount(let count):
            "control message of \(count) bytes: empty, or longer than this one may be"
        case .message: "control message does not parse"
        case .unexpectedMessage(let found, let expected):
            "message '\(found)' where '\(expected)' was due"
        case .field(let name): "field '\(name)' has a value that is not allowed"
        case .discard(let page): "page \(page) cannot be discarded"
        case .early(let kind): "frame of kind \(kind) before 'state', outside of any round"
        case .round(let found): "the end of round \(found), which is not under way"
        case .unsentPages(let count): "'done' although \(count) pages were never sent"
        case .missingPages(let count): "the stream ended with \(count) pages missing"
        }
    }
}
