// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import MigrationDestination
internal import MigrationWire
internal import Userfault

/// How fast one thread installs frames of pages in absent memory.
enum Installs {
    /// By the destination's own installer.
    ///
    /// - Returns: Pages in a second.
    static func rate(of frames: ReadyFrames, pageCount: Int, _ backing: Backing) throws -> Double {
        let memory = try AbsentMemory(pageCount: pageCount, backing)
        var installer = Installer(memory.incoming, wake: .everyone)
        let start = MonotonicTime.now
        for number in 0..<pageCount / ReadyFrames.pagesPerFrame {
            let frame = unsafe try frames.frame(number, pageCount: pageCount)
            unsafe try installer.install(frame, arrival: .stream)
        }
        let nanoseconds = MonotonicTime.now.nanoseconds(since: start)
        guard try memory.firstWrong(frames.pattern, period: frames.pageCount) == nil else {
            throw BenchFailure.failed("a page was installed wrongly")
        }
        return Double(pageCount) * 1e9 / Double(max(1, nanoseconds))
    }

    /// By unpacking and one ioctl for each run, before it one write where memory is a file, and
    /// nothing else.
    ///
    /// - Parameters:
    ///   - frames: What is installed.
    ///   - pageCount: Pages of memory.
    ///   - backing: What memory is made of.
    ///   - isHashing: Whether pages are hashed for the digest as well.
    /// - Returns: Pages in a second.
    /// - Throws: What this host lacks, or what failed.
    static func bareRate(
        of frames: ReadyFrames,
        pageCount: Int,
        _ backing: Backing,
        isHashing: Bool = false
    ) throws -> Double {
        let memory = try AbsentMemory(pageCount: pageCount, backing)
        let staging = try Mapping(
            .anonymous,
            byteCount: ReadyFrames.pagesPerFrame * GuestPage.byteCount
        )
        var digest = PageDigest()
        let start = MonotonicTime.now
        for number in 0..<pageCount / ReadyFrames.pagesPerFrame {
            let frame = unsafe try frames.frame(number, pageCount: pageCount)
            let run = PageRange(
                first: PageIndex(number * ReadyFrames.pagesPerFrame),
                count: ReadyFrames.pagesPerFrame
            )
            let contents = unsafe try contents(of: frame, frames.pattern, staging)
            if isHashing { unsafe try hash(frame, contents, into: &digest) }
            unsafe try install(contents, run, in: memory, frames.pattern)
        }
        let nanoseconds = MonotonicTime.now.nanoseconds(since: start)
        guard (digest != PageDigest()) == isHashing else {
            throw BenchFailure.failed("a digest: \(digest)")
        }
        return Double(pageCount) * 1e9 / Double(max(1, nanoseconds))
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
