// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import MigrationDestination
internal import MigrationWire
internal import Userfault

/// How fast one thread installs frames of pages in absent memory.
enum Installs {
    /// A way to do it.
    enum Loop: CaseIterable {
        /// The destination's own installer.
        case installer
        /// Unpacking, hashing for the digest, and one ioctl for each run, before it one write where
        /// memory is a file, and nothing else.
        case hashed
        /// The same without the hash.
        case bare
    }

    /// The most frames that a loop installs before the next has its turn: 4 MiB, so that none shares
    /// a huge page of this host, or of the one under it, with another.
    private static let mostFramesPerTurn = 64

    /// Fills one memory by loops that take turns: so each meets the same prices of memory, which on
    /// a virtual host change while one looks.
    ///
    /// - Parameters:
    ///   - loops: The loops.
    ///   - frames: What is installed.
    ///   - pageCount: Pages of memory, a frame for each loop at least.
    ///   - backing: What memory is made of.
    ///   - first: Which of the loops begins, modulo their number.
    /// - Returns: Pages in a second, of each.
    /// - Throws: What this host lacks, or what failed.
    static func rates(
        of loops: [Loop],
        _ frames: ReadyFrames,
        pageCount: Int,
        _ backing: Backing,
        beginningWith first: Int = 0
    ) throws -> [Double] {
        let memory = try AbsentMemory(pageCount: pageCount, backing)
        var installer = Installer(memory.incoming, wake: .everyone)
        let staging = try Mapping(
            .anonymous,
            byteCount: ReadyFrames.pagesPerFrame * GuestPage.byteCount
        )
        var digest = PageDigest()
        var pages = [Int](repeating: 0, count: loops.count)
        var nanoseconds = [UInt64](repeating: 0, count: loops.count)
        let frameCount = pageCount / ReadyFrames.pagesPerFrame
        let framesPerTurn = min(mostFramesPerTurn, max(1, frameCount / loops.count))
        for (turn, begin) in stride(from: 0, to: frameCount, by: framesPerTurn).enumerated() {
            let index = (first + turn) % loops.count
            let numbers = begin..<min(begin + framesPerTurn, frameCount)
            let start = MonotonicTime.now
            for number in numbers {
                let frame = unsafe try frames.frame(number, pageCount: pageCount)
                if loops[index] == .installer {
                    unsafe try installer.install(frame, arrival: .stream)
                    continue
                }
                let run = PageRange(
                    first: PageIndex(number * ReadyFrames.pagesPerFrame),
                    count: ReadyFrames.pagesPerFrame
                )
                let contents = unsafe try contents(of: frame, frames.pattern, staging)
                if loops[index] == .hashed { unsafe try hash(frame, contents, into: &digest) }
                unsafe try install(contents, run, in: memory, frames.pattern)
            }
            nanoseconds[index] += MonotonicTime.now.nanoseconds(since: start)
            pages[index] += numbers.count * ReadyFrames.pagesPerFrame
        }
        let installed = zip(loops, pages).reduce(0) { $0 + ($1.0 == .installer ? $1.1 : 0) }
        guard pageCount - memory.incoming.pages.remainingCount == installed,
            try memory.firstWrong(frames.pattern, period: frames.pageCount) == nil
        else { throw BenchFailure.failed("a page was installed wrongly") }
        guard (digest != PageDigest()) == loops.contains(.hashed) else {
            throw BenchFailure.failed("a digest: \(digest)")
        }
        return zip(pages, nanoseconds).map { Double($0) * 1e9 / Double(max(1, $1)) }
    }

    /// The pages of a frame as they are; of zeros, what the frame has.
    @unsafe private static func contents(
        of frame: borrowing PageFrame,
        _ pattern: PagePattern,
        _ staging: borrowing Mapping
    ) throws(FrameDefect) -> UnsafeRawBufferPointer {
        switch pattern {
        case .zero, .noise:
            // Uncompressed pages lie behind each other in the frame.
            return unsafe UnsafeRawBufferPointer(
                start: frame.contents(of: try frame.entry(0), at: 0).baseAddress,
                count: staging.byteCount
            )
        case .mixed:
            var offset = 0
            for index in 0..<ReadyFrames.pagesPerFrame {
                let entry = unsafe try frame.entry(index)
                let page = unsafe UnsafeMutableRawBufferPointer(
                    start: staging.base + index * GuestPage.byteCount,
                    count: GuestPage.byteCount
                )
                unsafe try entry.decode(frame.contents(of: entry, at: offset), into: page)
                offset += entry.payloadByteCount
            }
            return unsafe UnsafeRawBufferPointer(start: staging.base, count: staging.byteCount)
        }
    }

    @unsafe private static func hash(
        _ frame: borrowing PageFrame,
        _ contents: UnsafeRawBufferPointer,
        into digest: inout PageDigest
    ) throws(FrameDefect) {
        for index in 0..<ReadyFrames.pagesPerFrame {
            let entry = unsafe try frame.entry(index)
            let start = index * GuestPage.byteCount
            let page = unsafe UnsafeRawBufferPointer(
                rebasing: contents[start..<start + GuestPage.byteCount]
            )
            unsafe digest.add(entry.page, contents: page, as: entry.encoding)
        }
    }

    private static func install(
        _ contents: UnsafeRawBufferPointer,
        _ run: PageRange,
        in memory: AbsentMemory,
        _ pattern: PagePattern
    ) throws {
        let address = memory.ram.mapping.address + UInt(run.byteOffset)
        let outcome: InstallOutcome
        if memory.ram.backing.isFile {
            unsafe try memory.ram.fillBehind(run, with: contents)
            outcome = try memory.userfault.continue(address: address, byteCount: run.byteCount)
        } else if pattern == .zero {
            outcome = try memory.userfault.zero(address: address, byteCount: run.byteCount)
        } else {
            outcome = unsafe try memory.userfault.copy(contents, to: address)
        }
        guard outcome == .installed else { throw BenchFailure.failed("an install: \(outcome)") }
    }
}
