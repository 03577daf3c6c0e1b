// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import MigrationDestination
internal import MigrationSource
internal import MigrationWire
internal import Synchronization
internal import Transport

/// The background stream: all pages of one memory over one bulk lane into another, by the threads
/// that a source and a destination have for it.
final class BulkStream {
    private let source: GuestRAM
    private let frames: ReadyFrames
    private var pageCount: Int { source.layout.pageCount }

    /// Memory of a source, full of pages that LZ4 halves.
    init(pageCount: Int) throws {
        source = try PagePattern.mixed.memory(pageCount: pageCount)
        frames = try ReadyFrames(of: .mixed)
    }

    /// Pages in a second, from the moment the stream is let go to its end.
    func rate(over medium: Medium, into backing: Backing) throws -> Double {
        let outgoing = try OutgoingMemory(ram: source)
        let target = try AbsentMemory(pageCount: pageCount, backing)
        let (incoming, ends) = (target.incoming, try LaneEnds(.bulk(0), over: medium))
        let threads = ThreadGroup()
        defer {
            ends.shutdown()
            threads.joinAll()
        }
        try threads.start("bench-send") {
            streamMemory(outgoing, on: ends.source, index: 0)
            if outgoing.failure.error != nil { ends.shutdown() }
        }
        try threads.start("bench-receive") {
            receiveStream(on: ends.destination, into: incoming)
            if incoming.failure.error != nil { ends.shutdown() }
        }
        let start = MonotonicTime.now
        outgoing.openStream()
        threads.joinAll()
        let nanoseconds = MonotonicTime.now.nanoseconds(since: start)
        if let error = incoming.failure.error ?? outgoing.failure.error {
            throw BenchFailure.failed("\(error)")
        }
        guard incoming.pages.remainingCount == 0,
            try target.firstWrong(.mixed, period: .max) == nil
        else { throw BenchFailure.failed("the stream has not brought all pages as they are") }
        return Double(pageCount) * 1e9 / Double(max(1, nanoseconds))
    }

    /// Pages in a second of the slower of the stream's two stages, each alone on one thread: LZ4, and
    /// unpacking and installing.
    ///
    /// - Parameters:
    ///   - backing: What pages are installed in.
    ///   - areSideBySide: Whether both run at the same time, without anything between them: what
    ///     two processors have to give that are both busy. Else one after the other.
    /// - Returns: The rate.
    /// - Throws: What this host lacks, or what failed.
    func stageRate(into backing: Backing, areSideBySide: Bool) throws -> Double {
        if !areSideBySide {
            return min(
                Self.compressRate(of: source),
                try installRate(into: backing)
            )
        }
        let threads = ThreadGroup()
        let compress = Mutex(0.0)
        defer { threads.joinAll() }
        try threads.start("bench-compress") { [source] in
            let rate = Self.compressRate(of: source)
            compress.withLock { $0 = rate }
        }
        let install = try installRate(into: backing)
        threads.joinAll()
        return min(compress.withLock { $0 }, install)
    }

    private func installRate(into backing: Backing) throws -> Double {
        try Installs.rates(of: [.bare], frames, pageCount: pageCount, backing)[0]
    }

    private static func compressRate(of source: GuestRAM) -> Double {
        let pageCount = source.layout.pageCount
        var batch = PageBatch()
        var byteCount = 0
        let start = MonotonicTime.now
        for first in stride(from: 0, to: pageCount, by: ReadyFrames.pagesPerFrame) {
            batch.begin()
            for number in first..<first + ReadyFrames.pagesPerFrame {
                let page = PageRange(first: PageIndex(number), count: 1)
                unsafe batch.append(
                    page.first,
                    contents: UnsafeRawBufferPointer(source.bytes(of: page))
                )
            }
            byteCount += unsafe batch.finish(sequence: 0) { _, _ in }
        }
        let nanoseconds = MonotonicTime.now.nanoseconds(since: start)
        precondition(byteCount > 0)
        return Double(pageCount) * 1e9 / Double(max(1, nanoseconds))
    }
}
