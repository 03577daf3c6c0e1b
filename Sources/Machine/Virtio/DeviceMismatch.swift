// SPDX-License-Identifier: Apache-2.0

/// Why virtio devices cannot be what they are to be.
package enum DeviceMismatch: Equatable, Sendable, CustomStringConvertible {
    /// More than there is room for.
    case tooMany(Int, most: Int)
    /// Another number than the guest has.
    case count(flag: String, guest: Int, here: Int)
    /// A file that is no whole number of blocks.
    case size(path: String, byteCount: UInt64, blockByteCount: UInt32)
    /// Another disk than the guest has.
    case disk(path: String, guest: String, here: String)
    /// Another address than the guest's card has.
    case address(guest: String, here: String)
    /// A description that cannot be.
    case impossible(String)

    /// The cause and the remedy, in one line.
    package var description: String {
        switch self {
        case .tooMany(let count, let most):
            "\(count) virtio devices are too many; a guest has \(most) at the most"
        case .count(let flag, let guest, let here):
            "the guest has \(guest) devices of \(flag), here are \(here); give \(flag) as the "
                + "source has it"
        case .size(let path, let byteCount, let block):
            "\(path) cannot be a disk: its \(byteCount) bytes are not whole blocks of \(block)"
        case .disk(let path, let guest, let here):
            "the guest's disk has \(guest), \(path) has \(here); give the same disk, with the "
                + "same options"
        case .address(let guest, let here):
            "the guest's network card has the address \(guest), not \(here); leave mac= out"
        case .impossible(let text):
            "the guest is described with \(text), which cannot be"
        }
    }
}
