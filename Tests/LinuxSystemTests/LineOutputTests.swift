// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import LinuxSystem
import TestSupport
import Testing

/// Lines for readers that may be slow, or gone.
@Suite(.serialized, .timeLimit(.minutes(1)))
struct LineOutputTests {
    init() { _ = signal(SIGPIPE, SIG_IGN) }

    /// Both ends of a pipe.
    private static func pipe() -> (reading: FileHandle, writing: FileHandle) {
        let pipe = Pipe()
        return (pipe.fileHandleForReading, pipe.fileHandleForWriting)
    }

    @Test func `lines are appended to a file, which is created`() throws {
        let folder = TemporaryDirectory()
        let path = folder.file("events")
        for word in ["one", "two"] {
            var output = try LineOutput(appendingTo: path)
            output.write(word.utf8)
            #expect(output.droppedCount == 0)
        }
        let text = try #require(FileManager.default.contents(atPath: path))
        #expect(String(decoding: text, as: UTF8.self) == "one\ntwo\n")
    }

    @Test func `a full pipe drops lines whole, counts them, and goes on once it is read`() throws {
        let (reading, writing) = Self.pipe()
        var output = try LineOutput(writingTo: writing.fileDescriptor)
        let line = [UInt8](repeating: 0x61, count: 1000)
        for _ in 0..<100 { output.write(line) }
        let dropped = output.droppedCount
        #expect((1..<100).contains(dropped))
        var buffer = [UInt8](repeating: 0, count: 1 << 17)
        let count = unsafe read(reading.fileDescriptor, &buffer, buffer.count)
        #expect(count == (100 - dropped) * 1001)
        output.write("last".utf8)
        #expect(output.droppedCount == dropped)
        let rest = unsafe read(reading.fileDescriptor, &buffer, buffer.count)
        #expect(String(decoding: buffer[..<rest], as: UTF8.self) == "last\n")
    }

    @Test func `a reader that went away costs lines and nothing else`() throws {
        let (reading, writing) = Self.pipe()
        var output = try LineOutput(writingTo: writing.fileDescriptor)
        try reading.close()
        output.write("to nobody".utf8)
        #expect(output.droppedCount == 1)
    }

    @Test func `a descriptor that others share stays blocking`() throws {
        let (reading, writing) = Self.pipe()
        defer { try? reading.close() }
        let before = Descriptor.flags(of: writing.fileDescriptor)
        _ = try LineOutput(writingTo: writing.fileDescriptor)
        #expect(Descriptor.flags(of: writing.fileDescriptor) == before)
    }

    @Test func `a line torn by a full socket ends before the next one`() throws {
        let sockets = try SocketPair()
        var output = try LineOutput(writingTo: sockets.first.rawDescriptor)
        let line = [UInt8](repeating: 0x61, count: 4000)
        while output.droppedCount == 0 { output.write(line) }
        var buffer = [UInt8](repeating: 0, count: 1 << 22)
        let count = unsafe read(sockets.second.rawDescriptor, &buffer, buffer.count)
        #expect(count > 0)
        output.write("whole".utf8)
        let rest = unsafe read(sockets.second.rawDescriptor, &buffer, buffer.count)
        let text = String(decoding: buffer[..<rest], as: UTF8.self)
        #expect(text == "whole\n" || text == "\nwhole\n")
    }

    @Test func `a line that a pipe would not take whole is dropped`() throws {
        let (reading, writing) = Self.pipe()
        defer { try? reading.close() }
        var output = try LineOutput(writingTo: writing.fileDescriptor)
        output.write([UInt8](repeating: 0x61, count: LineOutput.mostBytes - 1))
        #expect(output.droppedCount == 0)
        output.write([UInt8](repeating: 0x61, count: LineOutput.mostBytes))
        #expect(output.droppedCount == 1)
    }

    @Test func `what cannot be written to is refused with its errno`() throws {
        let folder = TemporaryDirectory()
        let (reading, _) = Self.pipe()
        #expect(unsafe mkfifo(folder.file("fifo"), 0o600) == 0)
        #expect(code { try LineOutput(appendingTo: folder.file("fifo")) } == ENXIO)
        #expect(code { try LineOutput(appendingTo: "/nowhere/events") } == ENOENT)
        #expect(code { try LineOutput(appendingTo: "/tmp") } == EISDIR)
        #expect(code { try LineOutput(writingTo: 1023) } == EBADF)
        #expect(code { try LineOutput(writingTo: reading.fileDescriptor) } == EBADF)
    }

    /// The errno of opening an output; nil when that works.
    private func code(_ open: () throws -> LineOutput) -> CInt? {
        do {
            _ = try open()
            return nil
        } catch {
            return (error as? SystemError)?.code
        }
    }
}

private enum Descriptor {
    /// The status flags of a descriptor, as the kernel tells them.
    static func flags(of number: CInt) -> String? {
        Host.contents(of: "/proc/self/fdinfo/\(number)")?.split(separator: "\n")
            .first { $0.hasPrefix("flags:") }.map(String.init)
    }
}
