// SPDX-License-Identifier: Apache-2.0

package import GuestMemory

/// The pages that a guest writes again and again: the data of its kernel, of its interrupts, and of
/// what runs just now.
///
/// Found by looking several times, a moment apart, at what has been written since. A program that
/// walks through its memory writes much and the same page seldom; what is written between any two
/// looks will be written at the destination as soon as the guest goes on. A value, for one thread.
package struct HotPages {
    /// Looks that a page has to have been seen in.
    private static let leastLooks = 2
    /// The most pages that are named.
    package static let mostPages = 256

    /// How often each page was seen.
    private var looks: [PageIndex: Int] = [:]

    /// Nothing seen yet.
    package init() {}

    /// Takes a look: counts the pages that are set.
    ///
    /// - Parameter written: What has been written since the last look.
    package mutating func look(at written: PageBitmap) {
        for word in 0..<written.wordCount {
            var bits = written.bits(ofWord: word)
            while bits != 0 {
                looks[PageIndex(word * 64 + bits.trailingZeroBitCount), default: 0] += 1
                bits &= bits - 1
            }
        }
    }

    /// Those seen in at least two looks, the most often seen first; at most `mostPages`.
    package var pages: [PageIndex] {
        looks.filter { $0.value >= Self.leastLooks }
            .sorted { ($1.value, $0.key.rawValue) < ($0.value, $1.key.rawValue) }
            .prefix(Self.mostPages)
            .map(\.key)
    }
}
