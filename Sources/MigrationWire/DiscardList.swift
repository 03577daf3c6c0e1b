// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
package import GuestMemory

/// Pages that came in a precopy round and have been written since, as messages hold them.
package struct DiscardList: Sendable {
    /// The messages, pages in rising order.
    package private(set) var messages: [WireDiscard] = []
    /// Pages in the list.
    package private(set) var pageCount = 0
    private var nextWord = 0

    /// No pages.
    package init() {}

    /// Adds pages behind those that are in the list.
    ///
    /// - Parameters:
    ///   - bits: Of 64 pages, the lowest for the page `64 * word`.
    ///   - word: Above those of former calls.
    package mutating func append(_ bits: UInt64, ofWord word: Int) {
        guard bits != 0 else { return }
        pageCount += bits.nonzeroBitCount
        if let last = messages.indices.last, let gap = gap(before: word, in: messages[last]) {
            messages[last].pages.append(contentsOf: repeatElement(0, count: gap))
        } else {
            var message = WireDiscard()
            message.firstPage = UInt64(word) * 64
            messages.append(message)
        }
        let bytes = (0..<8).map { UInt8(truncatingIfNeeded: bits >> (8 * $0)) }
        messages[messages.count - 1].pages.append(contentsOf: bytes)
        nextWord = word + 1
    }

    /// The pages, in rising order.
    package var pages: [PageIndex] {
        var pages: [PageIndex] = []
        for message in messages {
            var page = Int(message.firstPage)
            for byte in message.pages {
                for bit in 0..<8 where byte & 1 << bit != 0 { pages.append(PageIndex(page + bit)) }
                page += 8
            }
        }
        return pages
    }

    /// Zeros to put between the end of a message and a word, if that fits in.
    private func gap(before word: Int, in message: WireDiscard) -> Int? {
        let gap = (word - nextWord) * 8
        return message.pages.count + gap + 8 <= WireLimits.discardByteCount ? gap : nil
    }
}

extension WireDiscard {
    /// The pages, as runs in rising order.
    ///
    /// - Parameter pageCount: Pages that the guest has.
    /// - Returns: The runs, which lie in the guest's memory.
    /// - Throws: What is wrong with the message.
    package func runs(pageCount: Int) throws(FrameDefect) -> [PageRange] {
        guard firstPage % 64 == 0, firstPage < UInt64(pageCount), !pages.isEmpty,
            pages.count <= WireLimits.discardByteCount
        else { throw .field("discard") }
        var runs: [PageRange] = []
        var start: Int?
        var page = Int(firstPage)
        for byte in pages {
            // Most are all of one kind.
            if byte == 0 || byte == 0xFF {
                if let first = start, byte == 0 {
                    runs.append(PageRange(first: PageIndex(first), count: page - first))
                    start = nil
                } else if byte != 0 {
                    start = start ?? page
                }
                page += 8
                continue
            }
            for bit in 0..<8 {
                let isSet = byte & 1 << bit != 0
                if let first = start, !isSet {
                    runs.append(PageRange(first: PageIndex(first), count: page - first))
                    start = nil
                } else if isSet, start == nil {
                    start = page
                }
                page += 1
            }
        }
        if let start { runs.append(PageRange(first: PageIndex(start), count: page - start)) }
        // Or a peer could go on with such lists for ever.
        guard !runs.isEmpty else { throw .field("discard") }
        if let last = runs.last, last.first.rawValue + last.count > pageCount {
            throw .page(UInt64(last.first.rawValue + last.count - 1))
        }
        return runs
    }
}
