// SPDX-License-Identifier: Apache-2.0

internal import CGuest
internal import GuestMemory

/// The contents of the walker's pages before its first visit.
struct WalkerContents {
    /// Words of a payload that are random; the rest repeats one word, which depends on the page.
    let randomWords: Int
    /// Words between two that one visit changes.
    let changeStep: Int
    /// Visits after which the same words are changed again.
    let changeCycle: Int

    private let zeroPercent: Int
    private let seed: UInt64

    private static let payloadWords = Int(CGUEST_PAYLOAD_WORDS)
    private static let golden: UInt64 = 0x9E37_79B9_7F4A_7C15

    init(_ options: WalkerOptions) {
        let changed = Int(CGUEST_CHANGED_WORDS)
        let wanted = Self.payloadWords * options.randomPercent / 100
        randomWords = wanted == 0 ? 0 : max(changed, wanted)
        // Changed words become random ones: they stay within the random part, moving on with
        // every visit. Without such a part the same few are changed again and again.
        changeStep = (randomWords == 0 ? Self.payloadWords : randomWords) / changed
        changeCycle = randomWords == 0 ? 1 : changeStep
        zeroPercent = options.zeroPercent
        seed = options.seed
    }

    /// Whether a page of a slice stays zero.
    func isZero(_ position: Int) -> Bool {
        position * Int(CGUEST_ZERO_FACTOR) % 100 < zeroPercent
    }

    /// Fills one slice.
    ///
    /// Pages that stay zero are not touched, and cost no memory.
    ///
    /// - Parameters:
    ///   - memory: The guest's.
    ///   - layout: Where its slices are.
    ///   - vcpu: Whose slice.
    func fill(_ memory: GuestRAM, _ layout: WalkerLayout, slice vcpu: Int) {
        let first = layout.firstPage(ofVCPU: vcpu)
        for position in 0..<layout.slicePages where !isZero(position) {
            let index = first + position
            let range = PageRange(first: PageIndex(index), count: 1)
            unsafe fill(memory.bytes(of: range), number: layout.pageNumber(ofPage: index))
        }
    }

    private func fill(_ page: UnsafeMutableRawBufferPointer, number: UInt64) {
        let words = unsafe page.assumingMemoryBound(to: UInt64.self)
        let header = Int(CGUEST_PAGE_PAYLOAD) / 8
        var state = seed &+ number &* Self.golden
        var sum: UInt64 = 0
        for index in header..<header + randomWords {
            // SplitMix64.
            state &+= Self.golden
            var word = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
            word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
            word ^= word >> 31
            unsafe words[index] = word
            sum &+= word
        }
        let constant = number &* Self.golden
        for index in header + randomWords..<header + Self.payloadWords {
            unsafe words[index] = constant
            sum &+= constant
        }
        unsafe words[Int(CGUEST_PAGE_NUMBER) / 8] = number
        unsafe words[Int(CGUEST_PAGE_GENERATION) / 8] = 0
        unsafe words[Int(CGUEST_PAGE_CHECKSUM) / 8] = sum
    }
}
