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

    /// By decoding and one ioctl for each run, and nothing else.
    ///
    /// - Returns: Pages in a second.
    static func bareRate(
        of frames: ReadyFrames,
        pageCount: Int,
        _ backing: Backing
    ) throws -> Double {
        let memory = try AbsentMemory(pageCount: pageCount, backing)
        let staging = try Mapping(
            .anonymous,
            byteCount: ReadyFrames.pagesPerFrame * GuestPage.byteCount
        )
        let start = MonotonicTime.now
        for number in 0..<pageCount / ReadyFrames.pagesPerFrame {
            let frame = unsafe try frames.frame(number, pageCount: pageCount)
            let run = PageRange(
                first: PageIndex(number * ReadyFrames.pagesPerFrame),
                count: ReadyFrames.pagesPerFrame
            )
            unsafe try install(frame, run, in: memory, staging.base, frames.pattern)
        }
        let nanoseconds = MonotonicTime.now.nanoseconds(since: start)
        return Double(pageCount) * 1e9 / Double(max(1, nanoseconds))
    }

    @unsafe private static func install(
        _ frame: borrowing PageFrame,
        _ run: PageRange,
        in memory: AbsentMemory,
        _ staging: UnsafeMutableRawPointer,
        _ pattern: PagePattern
    ) throws {
        let address = memory.ram.mapping.address + UInt(run.byteOffset)
        let outcome =
            switch (memory.ram.backing, pattern) {
            case (.memfd, _):
                unsafe try continueRun(frame, run, in: memory, at: address)
            case (.anonymous, .zero):
                try memory.userfault.zero(address: address, byteCount: run.byteCount)
            case (.anonymous, .noise):
                // Uncompressed pages lie behind each other in the frame.
                unsafe try memory.userfault.copy(
                    UnsafeRawBufferPointer(
                        start: frame.contents(of: frame.entry(0), at: 0).baseAddress,
                        count: run.byteCount
                    ),
                    to: address
                )
            case (.anonymous, .mixed):
                unsafe try copyRun(frame, run, in: memory, at: address, staging)
            }
        guard outcome == .installed else { throw BenchFailure.failed("an install: \(outcome)") }
    }

    @unsafe private static func continueRun(
        _ frame: borrowing PageFrame,
        _ run: PageRange,
        in memory: AbsentMemory,
        at address: UInt
    ) throws -> InstallOutcome {
        guard let alias = unsafe memory.ram.aliasBytes(of: run)?.baseAddress else {
            preconditionFailure("memfd without an alias mapping")
        }
        unsafe try decode(frame, to: alias)
        return try memory.userfault.continue(address: address, byteCount: run.byteCount)
    }

    @unsafe private static func copyRun(
        _ frame: borrowing PageFrame,
        _ run: PageRange,
        in memory: AbsentMemory,
        at address: UInt,
        _ staging: UnsafeMutableRawPointer
    ) throws -> InstallOutcome {
        unsafe try decode(frame, to: staging)
        let bytes = unsafe UnsafeRawBufferPointer(start: staging, count: run.byteCount)
        return unsafe try memory.userfault.copy(bytes, to: address)
    }

    @unsafe private static func decode(
        _ frame: borrowing PageFrame,
        to target: UnsafeMutableRawPointer
    ) throws(FrameDefect) {
        var offset = 0
        for index in 0..<ReadyFrames.pagesPerFrame {
            let entry = unsafe try frame.entry(index)
            let page = unsafe UnsafeMutableRawBufferPointer(
                start: target + index * GuestPage.byteCount,
                count: GuestPage.byteCount
            )
            unsafe try entry.decode(frame.contents(of: entry, at: offset), into: page)
            offset += entry.payloadByteCount
        }
    }
}
