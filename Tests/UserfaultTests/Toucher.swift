// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxSystem
import Synchronization
import Userfault

/// A thread that reads pages of a mapping, and sleeps in the kernel where one is absent.
final class Toucher: Sendable {
    private let threads = ThreadGroup()
    private let task = FutexWord(0)
    private let ended = FutexWord(0)
    private let bytes = Mutex<[UInt8]>([])

    /// - Parameters:
    ///   - address: What it copies out.
    ///   - byteCount: How much of it.
    /// - Throws: When no thread can be had.
    init(address: UInt, byteCount: Int) throws {
        try threads.start("test-toucher") { [self] in
            task.store(UInt32(bitPattern: currentThreadID()))
            var copy = [UInt8](repeating: 0, count: byteCount)
            unsafe copy.withUnsafeMutableBytes { buffer in
                let source = unsafe UnsafeRawPointer(bitPattern: address)
                unsafe buffer.copyMemory(from: .init(start: source, count: byteCount))
            }
            bytes.withLock { $0 = copy }
            ended.store(1)
        }
    }

    /// The thread, as the kernel numbers it.
    var threadID: CInt {
        while task.value == 0 { task.wait(while: 0, timeout: nil) }
        return CInt(bitPattern: task.value)
    }

    var hasEnded: Bool { ended.value == 1 }

    /// What it read, once it has.
    func finish() -> [UInt8] {
        threads.joinAll()
        return bytes.withLock { $0 }
    }
}

/// A registered range, which wakes everybody when the test is over, however it ended.
struct Registration: ~Copyable {
    let userfault: Userfaultfd
    let address: UInt
    let byteCount: Int

    init(_ mapping: borrowing Mapping, for mode: Userfaultfd.Mode) throws {
        let userfault = try Userfaultfd(for: mode)
        try userfault.register(
            address: mapping.address,
            byteCount: mapping.byteCount,
            mode: mode
        )
        self.userfault = userfault
        address = mapping.address
        byteCount = mapping.byteCount
    }

    deinit {
        try? userfault.unregister(address: address, byteCount: byteCount)
    }

    /// Waits for the next touches.
    func events() throws -> [UserfaultEvent] {
        guard try waitUntilReadable([userfault.rawDescriptor], timeout: .seconds(20)) == [true]
        else { return [] }
        var batch = FaultBatch(capacity: 16)
        try userfault.read(into: &batch)
        return (0..<batch.count).compactMap { batch[$0] }
    }

    func copy(_ contents: [UInt8], to address: UInt) throws -> InstallOutcome {
        let span = contents.span
        return try unsafe span.withUnsafeBytes { buffer throws(SystemError) in
            unsafe try userfault.copy(buffer, to: address)
        }
    }
}
