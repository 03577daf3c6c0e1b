// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory

/// What the pages are full of that are moved.
enum PagePattern: String {
    /// Zeroes.
    case zero
    /// What cannot be compressed.
    case noise
    /// A quarter each of noise, pointers into one heap, small numbers and zeroes: LZ4 has work to
    /// do, and makes less than half of it.
    case mixed

    /// Memory of a source, full of such pages.
    ///
    /// - Parameter pageCount: Above zero.
    /// - Returns: Anonymous memory.
    /// - Throws: What this host lacks.
    func memory(pageCount: Int) throws -> GuestRAM {
        let layout = try GuestLayout.pc(byteCount: pageCount << GuestPage.shift)
        let memory = try GuestRAM(layout: layout, backing: .anonymous)
        for number in 0..<pageCount {
            let page = unsafe memory.bytes(of: PageRange(first: PageIndex(number), count: 1))
            unsafe fill(page, of: PageIndex(number))
        }
        return memory
    }

    /// Writes one page; no two pages are alike, unless they are zero.
    @unsafe func fill(_ bytes: UnsafeMutableRawBufferPointer, of page: PageIndex) {
        let words = unsafe bytes.assumingMemoryBound(to: UInt64.self)
        let quarter = words.count / 4
        var state = UInt64(page.rawValue) &* 0x9E37_79B9_7F4A_7C15 | 1
        for index in 0..<words.count {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            unsafe words[index] =
                switch self {
                case .zero: 0
                case .noise: state
                case .mixed: mixed(state, in: index / quarter)
                }
        }
    }

    private func mixed(_ noise: UInt64, in quarter: Int) -> UInt64 {
        switch quarter {
        case 0: noise
        case 1: 0x7F3A_5C00_0000 | noise & 0xF_FFF0
        case 2: noise & 0xFF
        default: 0
        }
    }
}
