// SPDX-License-Identifier: Apache-2.0

/// Guest memory as a device reaches it: by guest physical address, while the guest may change it.
///
/// An access may sleep for as long as it takes a page to arrive. Every access is checked: a guest
/// may name any address.
package protocol DeviceMemory: Sendable {
    /// Whether all bytes of a range are guest memory.
    func has(_ range: GuestRange) -> Bool

    /// Copies bytes out of guest memory.
    ///
    /// - Parameters:
    ///   - range: Where they are.
    ///   - bytes: Takes them; has room for all.
    ///   - offset: Where in `bytes` they go.
    /// - Throws: ``VirtioDefect/outsideMemory(_:)``, or ``VirtioDefect/memoryLost``.
    func read(
        _ range: GuestRange,
        into bytes: inout [UInt8],
        at offset: Int
    ) throws(VirtioDefect)

    /// Copies bytes into guest memory.
    ///
    /// - Throws: As `read` does; then nothing was written.
    func write(_ bytes: ArraySlice<UInt8>, at address: UInt64) throws(VirtioDefect)

    /// Loads a ring's index, an even address, so that what the guest wrote before it is seen after.
    func loadIndex(at address: UInt64) throws(VirtioDefect) -> UInt16

    /// Stores a ring's index, an even address, so that who sees it sees what was written before.
    func storeIndex(_ value: UInt16, at address: UInt64) throws(VirtioDefect)
}

/// A stretch of guest physical addresses.
package struct GuestRange: Equatable, Sendable {
    /// The first.
    package let address: UInt64
    /// How many; not negative.
    package let byteCount: Int

    /// - Parameters:
    ///   - address: The first.
    ///   - byteCount: How many; not negative.
    package init(_ address: UInt64, _ byteCount: Int) {
        self.address = address
        self.byteCount = byteCount
    }
}

extension DeviceMemory {
    /// Copies a range out of guest memory.
    func bytes(of range: GuestRange) throws(VirtioDefect) -> [UInt8] {
        guard has(range) else { throw .outsideMemory(range) }
        var bytes = [UInt8](repeating: 0, count: range.byteCount)
        try read(range, into: &bytes, at: 0)
        return bytes
    }
}
