// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxSystem
import TestSupport
import Testing

struct `A disk file`: ~Copyable {
    private let folder = TemporaryDirectory()
    private let path: String

    init() throws {
        path = folder.file("disk")
        _ = try FileDescriptor(appendingTo: path)
        #expect(unsafe truncate(path, 1 << 20) == 0)
    }

    /// With the page cache, and past it where the filesystem can.
    @Test(arguments: [DiskFile.Caching.cached, .direct])
    func `has what was written to it, in place`(caching: DiskFile.Caching) throws {
        let file: DiskFile
        do {
            file = try DiskFile(opening: path, isReadOnly: false, caching: caching)
        } catch {
            #expect(caching == .direct && error.code == EINVAL, "\(error)")
            return
        }
        #expect(file.byteCount == 1 << 20)
        // More than passes through the staging at once.
        let bytes = (0..<(5 << 15)).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        try file.write(bytes, at: 8192)
        try file.flush()
        var found = [UInt8](repeating: 0xFF, count: bytes.count + 4096)
        try file.read(into: &found, at: 4096)
        #expect(found.prefix(4096).allSatisfy { $0 == 0 })
        #expect(Array(found.dropFirst(4096)) == bytes)
    }

    @Test func `ends where it ends`() throws {
        let file = try DiskFile(opening: path, isReadOnly: true, caching: .cached)
        var bytes = [UInt8](repeating: 0, count: 1024)
        #expect(throws: SystemError.self) { try file.read(into: &bytes, at: 1 << 20 - 512) }
    }

    @Test func `is not written when it is read-only, nor opened when it is not there`() throws {
        let file = try DiskFile(opening: path, isReadOnly: true, caching: .cached)
        #expect(throws: SystemError.self) { try file.write([1], at: 0) }
        #expect(throws: SystemError.self) {
            try DiskFile(opening: folder.file("other"), isReadOnly: true, caching: .cached)
        }
    }
}
