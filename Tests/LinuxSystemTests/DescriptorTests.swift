// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxSystem
import Testing

@Suite struct DescriptorTests {
    @Test func `a file that does not exist is named in the error`() {
        do {
            _ = try FileDescriptor(opening: "/no/such/file", flags: O_RDONLY)
            Issue.record("it opened")
        } catch {
            #expect(error == SystemError(code: ENOENT, operation: "open /no/such/file"))
            #expect(
                error.description == "open /no/such/file: No such file or directory (ENOENT)"
            )
        }
    }

    @Test func `an opened file is closed when a program is started`() throws {
        let file = try FileDescriptor(opening: "/dev/null", flags: O_RDWR)
        let flags = Host.contents(of: "/proc/self/fdinfo/\(file.rawValue)")?
            .split(separator: "\n")
            .first { $0.hasPrefix("flags:") }
        let octal = try #require(flags?.split(separator: "\t").last)
        #expect(Int32(octal, radix: 8).map { $0 & O_CLOEXEC } == O_CLOEXEC)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a number that somebody else closed is a trap`() async {
        await #expect(processExitsWith: .failure) {
            do {
                let file = try FileDescriptor(opening: "/dev/null", flags: O_RDWR)
                close(file.rawValue)
            }
            exit(0)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a number that is no descriptor is a trap`() async {
        await #expect(processExitsWith: .failure) {
            do { _ = FileDescriptor(owning: -1) }
            exit(0)
        }
    }

    @Test func `to map a descriptor that is not open is EBADF`() {
        #expect(throws: SystemError(code: EBADF, operation: "mmap of 4096 bytes")) {
            _ = try Mapping(.shared(1_000_000), byteCount: 4096)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `what is read once is bytes, nothing yet, or the end`() throws {
        var ends: [CInt] = [-1, -1]
        try #require(unsafe pipe(&ends) == 0)
        let output = FileDescriptor(owning: ends[0])
        do {
            let input = FileDescriptor(owning: ends[1])
            #expect(fcntl(output.rawValue, F_SETFL, O_NONBLOCK) == 0)
            #expect(output.readOnce(limit: 8) == [])
            #expect(input.writeOnce([1, 2, 3]) == 3)
            #expect(output.readOnce(limit: 2) == [1, 2])
            #expect(output.readOnce(limit: 2) == [3])
        }
        #expect(output.readOnce(limit: 8) == nil)
    }

    @Test func `an unknown error number has a text`() {
        #expect(SystemError(code: 9999, operation: "call").description.hasPrefix("call: "))
        #expect(SystemError(code: 0, operation: "call").description.hasPrefix("call: "))
        #expect(SystemError(code: .max, operation: "call").description.contains("2147483647"))
    }

    @Test func `a result below zero becomes an error, any other is passed on`() throws {
        #expect(try checked(5, "call") == 5)
        #expect(throws: SystemError(code: EAGAIN, operation: "call")) {
            try checked(-EAGAIN, "call")
        }
    }

    @Test func `an interrupted call is repeated`() {
        var left = 3
        let result = retryingInterrupts {
            left -= 1
            return left > 0 ? -EINTR : 7
        }
        #expect(result == 7)
        #expect(left == 0)
    }
}

@Suite struct MemoryTests {
    @Test func `the size of a memory file is fixed`() throws {
        let file = try MemoryFile(name: "test", byteCount: 8192)
        #expect(ftruncate(file.descriptor.rawValue, 4096) == -1 && errno == EPERM)
        #expect(ftruncate(file.descriptor.rawValue, 16_384) == -1 && errno == EPERM)
    }

    @Test func `two mappings of a file hold the same bytes`() throws {
        let file = try MemoryFile(name: "test", byteCount: 8192)
        let one = try Mapping(.shared(file.descriptor.rawValue), byteCount: 8192)
        let other = try Mapping(.shared(file.descriptor.rawValue), byteCount: 8192)
        #expect(one.address != other.address)
        unsafe one.base.storeBytes(of: 0x1234, toByteOffset: 4096, as: UInt32.self)
        #expect(unsafe other.base.load(fromByteOffset: 4096, as: UInt32.self) == 0x1234)
        try unsafe withUnsafeBytes(of: UInt32(0x5678)) { unsafe try file.write($0, at: 8000) }
        #expect(unsafe one.base.load(fromByteOffset: 8000, as: UInt32.self) == 0x5678)
        #expect(unsafe other.base.load(fromByteOffset: 8000, as: UInt32.self) == 0x5678)
    }

    @Test func `memory that cannot be had is an error`() {
        #expect(throws: SystemError(code: ENOMEM, operation: "mmap of 4611686018427387904 bytes")) {
            _ = try Mapping(.anonymous, byteCount: 1 << 62)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `sizes and parts that cannot be are a trap`() async {
        await #expect(processExitsWith: .failure) { _ = try Mapping(.anonymous, byteCount: 0) }
        await #expect(processExitsWith: .failure) { _ = try Mapping(.anonymous, byteCount: 4095) }
        await #expect(processExitsWith: .failure) {
            try Mapping(.anonymous, byteCount: 4096).advise(0, offset: 4096, byteCount: 4096)
        }
        await #expect(processExitsWith: .failure) {
            try Mapping(.anonymous, byteCount: 4096).advise(0, offset: -4096, byteCount: .max)
        }
    }

    @Test func `a mapping goes away with its owner`() throws {
        var address: UInt = 0
        do {
            let mapping = try Mapping(.anonymous, byteCount: 1 << 30)
            address = mapping.address
            #expect(Self.isMapped(address))
        }
        #expect(!Self.isMapped(address))
    }

    /// Whether a mapping begins there.
    ///
    /// Another thread's may, in theory, but not one of 1 GiB.
    private static func isMapped(_ address: UInt) -> Bool {
        let start = String(address, radix: 16)
        let end = String(address + 1 << 30, radix: 16)
        return Host.contents(of: "/proc/self/maps", limit: 1 << 20)?
            .split(separator: "\n")
            .contains { $0.hasPrefix("\(start)-\(end)") || $0.hasPrefix("\(start)-") } ?? false
    }
}
