// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc

/// A TAP interface: what the host sends through it is read here, what is written here arrives at
/// the host.
///
/// Safe from several threads at once; nothing waits. One process at a time has an interface.
package final class TapInterface: Sendable {
    private let descriptor: FileDescriptor

    /// Most bytes of a frame.
    private static let mostBytes = 1 << 16

    /// Opens the interface; where there is none it is made, and vanishes with this object.
    ///
    /// - Parameter name: Of the interface, at most 15 bytes.
    /// - Throws: ``SystemError``: `EBUSY` where another process has it, `EPERM` where it is
    ///   somebody else's, `ENOENT` on a kernel without TAP.
    ///
    /// Kernel interface: /dev/net/tun, `ioctl(TUNSETIFF)`, and `ioctl(TUNSETOFFLOAD)` for none.
    package init(_ name: String) throws(SystemError) {
        let result = retryingInterrupts { unsafe clinux_tap(name) }
        descriptor = FileDescriptor(
            owning: try checked(result, "opening the TAP interface \(name)")
        )
    }

    /// For a poll set; readable while a frame waits.
    package var rawDescriptor: CInt { descriptor.rawValue }

    /// Reads a frame; nil when there is none.
    ///
    /// - Throws: ``SystemError`` when there never will be one: `EBADFD` once the interface has been
    ///   deleted. It is ready for poll(2) all the same.
    ///
    /// Kernel interface: read(2).
    package func receive() throws(SystemError) -> [UInt8]? {
        var result = 0
        let buffer = unsafe [UInt8](unsafeUninitializedCapacity: Self.mostBytes) { space, count in
            result = unsafe Glibc.read(descriptor.rawValue, space.baseAddress, space.count)
            if result < 0 { result = -Int(errno) }
            count = max(0, result)
        }
        switch result {
        case 1...: return Array(buffer[...])  // as large as the frame, not as the largest
        case 0, -Int(EAGAIN), -Int(EINTR): return nil
        default: throw SystemError(code: CInt(-result), operation: "reading a TAP interface")
        }
    }

    /// Writes a frame; it is lost where the interface is down, or has no room.
    ///
    /// Kernel interface: write(2).
    package func send(_ frame: [UInt8]) {
        _ = unsafe frame.withUnsafeBytes { buffer in
            unsafe Glibc.write(descriptor.rawValue, buffer.baseAddress, buffer.count)
        }
    }
}
