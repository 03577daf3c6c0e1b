// SPDX-License-Identifier: Apache-2.0

/// Why a device cannot go on with what its driver has put into a queue.
///
/// All but the last are the guest's mistakes: the device needs a reset then.
package enum VirtioDefect: Error, Equatable, Sendable, CustomStringConvertible {
    /// A ring, a descriptor table or a buffer that is not, or not wholly, guest memory.
    case outsideMemory(GuestRange)
    /// A ring or table at an address that is not aligned as it has to be.
    case alignment(UInt64)
    /// A queue of a size that is no power of two, or larger than the device has.
    case queueSize(UInt32)
    /// More requests made available than the queue holds.
    case availableCount(UInt16)
    /// A descriptor that the table does not have.
    case descriptor(UInt16)
    /// A chain of more descriptors than its queue has: a loop, most likely.
    case chainLength
    /// A buffer to read behind one to write.
    case bufferOrder
    /// A table of descriptors inside a table, behind a chain's next, or not of whole descriptors.
    case indirectTable
    /// Buffers that are not what such a request needs.
    case request(String)
    /// Guest memory is no longer what it was: this process has given the guest up.
    case memoryLost

    /// A clause for a person.
    package var description: String {
        switch self {
        case .outsideMemory(let range):
            "\(range.byteCount) bytes at 0x\(String(range.address, radix: 16)) are not in "
                + "guest memory"
        case .alignment(let address):
            "a ring at 0x\(String(address, radix: 16)) is not aligned"
        case .queueSize(let size):
            "a queue cannot have \(size) entries"
        case .availableCount(let count):
            "\(count) requests at once are more than the queue holds"
        case .descriptor(let index):
            "there is no descriptor \(index)"
        case .chainLength:
            "a chain of descriptors is longer than the queue"
        case .bufferOrder:
            "a buffer to read comes behind one to write"
        case .indirectTable:
            "a table of descriptors is not of whole descriptors, or not where one may be"
        case .request(let text):
            text
        case .memoryLost:
            "guest memory is lost"
        }
    }
}
