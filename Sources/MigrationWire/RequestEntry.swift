// SPDX-License-Identifier: Apache-2.0

package import GuestMemory

/// Who waits for a page, the most urgent first.
package enum RequestClass: UInt8, CaseIterable, Sendable {
    /// A vCPU touched it.
    case vCPU = 0
    /// The kernel on the guest's behalf, or a device.
    case kernelOrDevice = 1
    /// Nobody yet: it lies near a page that was touched.
    case prefetch = 2
    /// Nobody.
    case background = 3
}

/// One page wanted; 16 bytes behind a frame header of kind `requests`.
///
/// Layout (PROTOCOL.md, "Frames"), little-endian: page u64 · class u8 · reserved 7.
package struct RequestEntry: Equatable, Sendable {
    /// Bytes of an entry.
    package static let byteCount = 16

    /// The page.
    package let page: PageIndex
    /// Who waits for it.
    package let requestClass: RequestClass

    /// - Parameters:
    ///   - page: The page.
    ///   - requestClass: Who waits for it.
    package init(page: PageIndex, requestClass: RequestClass) {
        self.page = page
        self.requestClass = requestClass
    }

    /// Checks and reads entry `index` of a frame's body.
    ///
    /// - Parameters:
    ///   - index: Below the header's `entryCount`.
    ///   - body: The frame behind its header.
    ///   - pageCount: Pages that the guest has.
    /// - Throws: The ``FrameDefect`` that was found first.
    package init(
        _ index: Int,
        of body: UnsafeRawBufferPointer,
        pageCount: Int
    ) throws(FrameDefect) {
        let start = index * Self.byteCount
        let number = unsafe body.little(UInt64.self, at: start)
        guard number < UInt64(pageCount) else { throw .page(number) }
        guard let requestClass = RequestClass(rawValue: unsafe body[start + 8]) else {
            throw .requestClass(unsafe body[start + 8])
        }
        guard unsafe body.little(UInt64.self, at: start + 8) >> 8 == 0 else { throw .reservedBits }
        page = PageIndex(Int(number))
        self.requestClass = requestClass
    }

    /// Writes the 16 bytes of entry `index` into a frame's body.
    package func write(_ index: Int, to body: UnsafeMutableRawBufferPointer) {
        let start = index * Self.byteCount
        unsafe body.store(little: UInt64(page.rawValue), at: start)
        unsafe body.store(little: UInt64(requestClass.rawValue), at: start + 8)
    }
}
