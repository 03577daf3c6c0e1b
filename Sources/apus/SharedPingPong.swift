// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import Synchronization

/// Two words on cache lines of their own, and room for a request and an answer: the least that two
/// threads need to pass bytes to and fro.
///
/// One thread asks, one answers.
@safe final class SharedPingPong: @unchecked Sendable {
    // Sendable: the words are atomic, and say whose the bytes are.
    private let memory: Mapping
    /// Requests and answers so far, each touched by one thread only.
    private var asked: UInt32 = 0
    private var answered: UInt32 = 0

    private static let request = GuestPage.byteCount
    private static let answer = 2 * GuestPage.byteCount
    /// As a ring lane waits.
    private static let looksPerYield = 32
    private static let patience = Duration.seconds(10)

    /// No request yet.
    init() throws(SystemError) {
        memory = try Mapping(.anonymous, byteCount: 4 * GuestPage.byteCount)
        try memory.populate(offset: 0, byteCount: memory.byteCount)
    }

    /// Passes a request on, and copies the answer out.
    ///
    /// - Parameter own: Memory of the asking thread.
    /// - Throws: ``BenchFailure`` when no answer comes.
    @unsafe func ask(_ own: UnsafeMutableRawPointer) throws {
        asked &+= 1
        unsafe (memory.base + Self.request).copyMemory(
            from: own,
            byteCount: BareRoundTrip.headByteCount
        )
        unsafe word(0).pointee.store(asked, ordering: .releasing)
        try unsafe wait(for: word(1), toBe: asked)
        unsafe own.copyMemory(
            from: memory.base + Self.answer,
            byteCount: BareRoundTrip.answerByteCount
        )
    }

    /// Waits for a request, copies it out, and an answer in.
    ///
    /// - Parameter own: Memory of the answering thread.
    /// - Throws: ``BenchFailure`` when no request comes.
    @unsafe func answer(_ own: UnsafeMutableRawPointer) throws {
        answered &+= 1
        try unsafe wait(for: word(0), toBe: answered)
        unsafe own.copyMemory(
            from: memory.base + Self.request,
            byteCount: BareRoundTrip.headByteCount
        )
        unsafe (memory.base + Self.answer).copyMemory(
            from: own,
            byteCount: BareRoundTrip.answerByteCount
        )
        unsafe word(1).pointee.store(answered, ordering: .releasing)
    }

    // Pairs with the releases above.
    @unsafe private func wait(
        for word: UnsafePointer<Atomic<UInt32>>,
        toBe value: UInt32
    ) throws {
        let limit = MonotonicTime.now.advanced(by: Self.patience)
        while true {
            for _ in 0..<Self.looksPerYield {
                if unsafe word.pointee.load(ordering: .acquiring) == value { return }
                spinHint()
            }
            guard MonotonicTime.now < limit else {
                throw BenchFailure.failed("the other thread does not answer")
            }
            yieldProcessor()
        }
    }

    private func word(_ number: Int) -> UnsafePointer<Atomic<UInt32>> {
        let address = unsafe memory.base + number * 128
        return unsafe UnsafePointer(address.assumingMemoryBound(to: Atomic<UInt32>.self))
    }
}
