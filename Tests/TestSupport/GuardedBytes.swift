// SPDX-License-Identifier: Apache-2.0

internal import Glibc
package import LinuxSystem

/// Memory whose last byte is followed by a page that nobody may touch: reading or writing beyond
/// the end crashes, in release builds too.
@safe package struct GuardedBytes: ~Copyable {
    private let mapping: Mapping
    private let end: Int

    /// - Parameter byteCount: Most bytes that `tail` is asked for.
    /// - Throws: ``SystemError`` when the memory cannot be had.
    package init(byteCount: Int) throws(SystemError) {
        let page = Host.pageByteCount
        end = (byteCount + page - 1) / page * page
        let mapping = try Mapping(.anonymous, byteCount: end + page)
        guard unsafe mprotect(mapping.base + end, page, PROT_NONE) == 0 else {
            throw SystemError(code: errno, operation: "mprotect")
        }
        self.mapping = mapping
    }

    /// The last bytes before the forbidden page.
    package func tail(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
        precondition(byteCount >= 0 && byteCount <= end)
        return unsafe .init(start: mapping.base + (end - byteCount), count: byteCount)
    }

    /// The same bytes with contents.
    package func tail(holding bytes: some Collection<UInt8>) -> UnsafeRawBufferPointer {
        let place = unsafe tail(bytes.count)
        unsafe place.copyBytes(from: bytes)
        return UnsafeRawBufferPointer(place)
    }
}
