// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxSystem
import Machine
import TestSupport
import Testing

struct `A guest's disk`: ~Copyable {
    private let folder = TemporaryDirectory()
    private let notes = Locked<[String]>([])

    @Test func `that fails says to a person what and why, eight times`() throws {
        let path = folder.file("disk")
        _ = try FileDescriptor(appendingTo: path)
        #expect(unsafe truncate(path, 1 << 20) == 0)
        let notes = notes
        let disk = GuestDisk(
            try DiskFile(opening: path, isReadOnly: true, caching: .cached),
            at: path,
            note: { text in notes.withLock { $0.append(text) } }
        )
        var bytes = [UInt8](repeating: 0, count: 512)
        #expect(disk.read(into: &bytes, at: 4096))
        #expect(disk.flush())
        #expect(notes.withLock { $0.isEmpty })
        #expect(!disk.write(bytes, at: 0))
        #expect(unsafe truncate(path, 0) == 0)
        for _ in 0..<20 { #expect(!disk.read(into: &bytes, at: 4096)) }
        let told = notes.withLock { $0 }
        #expect(told.count == 8)
        #expect(told.allSatisfy { $0.contains(path) })
        #expect(told.first?.contains("EBADF") == true, "\(told)")
        #expect(told.last?.contains("EIO") == true, "\(told)")
        #expect(told.last?.contains("more") == true, "\(told)")
    }
}
