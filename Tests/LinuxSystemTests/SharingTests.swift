// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LinuxSystem
import Synchronization
import TestSupport
import Testing

/// What two processes share: descriptors, memory, words to sleep on.
@Suite(.serialized, .timeLimit(.minutes(1))) struct SharingTests {
    @Test func `a descriptor goes with the first of the bytes, and is another name of the same`()
        throws
    {
        let pair = try SocketPair()
        let file = try MemoryFile(name: "test", byteCount: 4096)
        let bytes: [UInt8] = [1, 2, 3]
        let span = bytes.span
        try unsafe span.withUnsafeBytes { buffer throws(SystemError) in
            unsafe try pair.first.send(buffer, passing: file.descriptor)
        }
        var passed: FileDescriptor?
        #expect(try receive(from: pair.second, &passed) == [1, 2, 3])
        guard let received = passed.take() else {
            Issue.record("no descriptor came")
            return
        }
        #expect(received.rawValue != file.descriptor.rawValue)
        var (mine, theirs) = (stat(), stat())
        #expect(unsafe fstat(file.descriptor.rawValue, &mine) == 0)
        #expect(unsafe fstat(received.rawValue, &theirs) == 0)
        #expect(mine.st_ino == theirs.st_ino)
    }

    @Test func `bytes without a descriptor bring none, and the end is the end`() throws {
        let pair = try SocketPair()
        let bytes: [UInt8] = [9]
        let span = bytes.span
        try unsafe span.withUnsafeBytes { buffer throws(SystemError) in
            unsafe try pair.first.send(buffer, .init(start: nil, count: 0))
        }
        var passed: FileDescriptor?
        #expect(try receive(from: pair.second, &passed) == [9])
        pair.first.shutdown()
        #expect(try receive(from: pair.second, &passed) == nil)
        let isNone = passed == nil
        #expect(isNone)
    }

    @Test func `whether a peer is there can be seen without reading from it`() throws {
        let pair = try SocketPair()
        #expect(pair.second.peerState == .silent)
        let bytes: [UInt8] = [9]
        let span = bytes.span
        try unsafe span.withUnsafeBytes { buffer throws(SystemError) in
            unsafe try pair.first.send(buffer, .init(start: nil, count: 0))
        }
        #expect(pair.second.peerState == .speaking)
        var passed: FileDescriptor?
        #expect(try receive(from: pair.second, &passed) == [9])
        #expect(pair.second.peerState == .silent)
        pair.first.shutdown()
        #expect(pair.second.peerState == .gone)
        #expect(pair.first.peerState == .gone)
    }

    @Test(arguments: [
        (true, 8192, true), (true, 4096, false), (true, 0, false), (false, 8192, false),
    ])
    func `only a memfd of the right size that keeps it is taken`(
        isSealed: Bool,
        byteCount: Int,
        isTaken: Bool
    ) throws {
        let fd = FileDescriptor(owning: unsafe clinux_memfd_create("test"))
        try #require(ftruncate(fd.rawValue, byteCount) == 0)
        if isSealed { try #require(clinux_seal_size(fd.rawValue) == 0) }
        let file = MemoryFile(verifying: fd, byteCount: 8192)
        let isThere = file != nil
        #expect(isThere == isTaken)
    }

    @Test func `a word wakes its sleepers in every mapping`() throws {
        let file = try MemoryFile(name: "test", byteCount: 4096)
        let first = try Mapping(.shared(file.descriptor.rawValue), byteCount: 4096)
        let second = try Mapping(.shared(file.descriptor.rawValue), byteCount: 4096)
        let here = unsafe SharedWord(at: first.base + 128)
        let there = unsafe SharedWord(at: second.base + 128)
        here.store(1)
        let thread = try Thread(name: "test-sleep") {
            while there.value == 1 { there.wait(while: 1, timeout: .seconds(20)) }
        }
        FutexWord(0).wait(while: 0, timeout: .milliseconds(30))
        let start = MonotonicTime.now
        #expect(here.exchange(2) == 1)
        here.wakeAll()
        thread.join()
        #expect(MonotonicTime.now.nanoseconds(since: start) < 10_000_000_000)
        #expect(there.acquired == 2)
        // What it does not hold is not slept on.
        here.wait(while: 7, timeout: .seconds(30))
    }

    private func receive(
        from socket: borrowing Socket,
        _ passed: inout FileDescriptor?
    ) throws -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 16)
        var span = bytes.mutableSpan
        let outcome = try unsafe span.withUnsafeMutableBytes { buffer throws(SystemError) in
            unsafe try socket.receive(into: buffer, accepting: &passed)
        }
        guard case .bytes(let count) = outcome else { return nil }
        return Array(bytes[..<count])
    }
}
