// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import GuestMemory
internal import Telemetry

/// Sizes of memory on the command line, for example `64M,512M`.
struct SizeList: ExpressibleByArgument {
    /// A size, with the words it was asked for in.
    struct Size {
        let text: String
        /// A multiple of the pages of a frame.
        let pageCount: Int
    }

    /// At least one, in the order given.
    let sizes: [Size]

    /// What is measured unless asked otherwise.
    static let standard = SizeList(sizes: [size("64M"), size("512M")].compactMap(\.self))

    /// What may be asked for.
    static let help = "whole multiples of 64K, from 64K to 64G"

    private init(sizes: [Size]) { self.sizes = sizes }

    init?(argument: String) {
        let words = argument.split(separator: ",", omittingEmptySubsequences: false)
        sizes = words.compactMap { Self.size(String($0)) }
        // Each once: metrics are named by it.
        guard sizes.count == words.count, Set(words).count == words.count else { return nil }
    }

    private static func size(_ text: String) -> Size? {
        let frame = ReadyFrames.pagesPerFrame * GuestPage.byteCount
        guard let bytes = HumanUnits.byteCount(from: text), bytes > 0, bytes <= 64 << 30,
            bytes % frame == 0
        else { return nil }
        return Size(text: text, pageCount: bytes / GuestPage.byteCount)
    }
}
