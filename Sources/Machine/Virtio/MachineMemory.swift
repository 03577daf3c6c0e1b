// SPDX-License-Identifier: Apache-2.0

internal import Devices
internal import GuestMemory
internal import LinuxSystem
internal import Synchronization

/// Guest memory as a machine's devices reach it: by the mapping that the guest runs on, so that
/// an absent page is waited for in userfaultfd as anybody would.
///
/// Safe from several threads at once. All that devices write passes through here.
final class MachineMemory: DeviceMemory {
    private let ram: GuestRAM
    /// Set before memory may be there that never arrived.
    private let isLost = Atomic(false)

    init(_ ram: GuestRAM) {
        self.ram = ram
    }

    /// From now on nothing that is read is handed out, since it may be zeros in place of what the
    /// guest had: a device that acted on them would write zeros to a disk.
    func close() {
        isLost.store(true, ordering: .sequentiallyConsistent)
    }

    func has(_ range: GuestRange) -> Bool {
        range.byteCount == 0 || offset(of: range) != nil
    }

    func read(
        _ range: GuestRange,
        into bytes: inout [UInt8],
        at offset: Int
    ) throws(VirtioDefect) {
        guard let start = self.offset(of: range) else { throw .outsideMemory(range) }
        precondition(offset >= 0 && offset <= bytes.count - range.byteCount, "too little room")
        unsafe bytes.withUnsafeMutableBytes { buffer in
            // SAFETY: `offset(of:)` has found all of the range in the mapping.
            unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[offset...]).copyMemory(
                from: UnsafeRawBufferPointer(
                    start: ram.mapping.base + start,
                    count: range.byteCount
                )
            )
        }
        try checkNotLost()
    }

    func write(_ bytes: ArraySlice<UInt8>, at address: UInt64) throws(VirtioDefect) {
        let range = GuestRange(address, bytes.count)
        guard let start = offset(of: range) else { throw .outsideMemory(range) }
        try checkNotLost()
        unsafe bytes.withUnsafeBytes { buffer in
            // SAFETY: as above.
            unsafe UnsafeMutableRawBufferPointer(
                start: ram.mapping.base + start,
                count: range.byteCount
            )
            .copyMemory(from: buffer)
        }
        noteWritten(start, range.byteCount)
    }

    func loadIndex(at address: UInt64) throws(VirtioDefect) -> UInt16 {
        let value = unsafe index(at: try indexOffset(address)).pointee.load(ordering: .acquiring)
        try checkNotLost()
        return value
    }

    func storeIndex(_ value: UInt16, at address: UInt64) throws(VirtioDefect) {
        try checkNotLost()
        let start = try indexOffset(address)
        unsafe index(at: start).pointee.store(value, ordering: .releasing)
        noteWritten(start, 2)
    }

    /// A migration that sends memory while the guest runs has to know; KVM does not tell it.
    private func noteWritten(_ start: Int, _ byteCount: Int) {
        guard byteCount > 0 else { return }
        let first = start >> GuestPage.shift
        let last = (start + byteCount - 1) >> GuestPage.shift
        ram.noteWritten(PageRange(first: PageIndex(first), count: last - first + 1))
    }

    /// Where an index of a ring lies in the mapping.
    private func indexOffset(_ address: UInt64) throws(VirtioDefect) -> Int {
        guard address % 2 == 0 else { throw .alignment(address) }
        let range = GuestRange(address, 2)
        guard let start = offset(of: range) else { throw .outsideMemory(range) }
        return start
    }

    // Its orderings pair with the guest's barriers around the same index.
    private func index(at start: Int) -> UnsafePointer<Atomic<UInt16>> {
        unsafe UnsafePointer(
            (ram.mapping.base + start).assumingMemoryBound(to: Atomic<UInt16>.self)
        )
    }

    private func checkNotLost() throws(VirtioDefect) {
        if isLost.load(ordering: .sequentiallyConsistent) { throw .memoryLost }
    }

    /// Where a range begins in the mapping; nil unless all of it lies in one region.
    private func offset(of range: GuestRange) -> Int? {
        var pagesBefore = 0
        for region in ram.layout.regions {
            if range.address >= region.guestAddress && range.address < region.endAddress {
                let room = region.endAddress - range.address
                guard UInt64(range.byteCount) <= room else { return nil }
                return pagesBefore << GuestPage.shift + Int(range.address - region.guestAddress)
            }
            pagesBefore += region.pageCount
        }
        return nil
    }
}
