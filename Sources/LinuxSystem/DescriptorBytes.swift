// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc

/// Bytes of descriptors that are no lanes: terminals, pipes and files.
extension FileDescriptor {
    /// Another descriptor of one that this process was started with, for example standard output.
    ///
    /// Kernel interface: dup(2).
    package init(duplicating rawDescriptor: CInt) throws(SystemError) {
        let result = dup(rawDescriptor)
        guard result >= 0 else {
            throw SystemError(code: errno, operation: "dup of descriptor \(rawDescriptor)")
        }
        self.init(owning: result)
    }

    /// Opens a file to add to its end; it is made where there is none.
    ///
    /// Kernel interface: open(2) with `O_APPEND` and `O_CREAT`, mode 0644 less the umask.
    package init(appendingTo path: String) throws(SystemError) {
        let result = retryingInterrupts { unsafe clinux_open_appending(path, 0) }
        self.init(owning: try checked(result, "open \(path)"))
    }

    /// Reads what there is, once; waits where there is nothing.
    ///
    /// - Parameter limit: Bytes at the most, above zero.
    /// - Returns: The bytes; none when a signal came, or another reader of the same was faster; nil
    ///   at the end, and when nothing will ever be read.
    ///
    /// Kernel interface: read(2).
    package func readOnce(limit: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = unsafe bytes.withUnsafeMutableBytes { buffer in
            unsafe read(rawValue, buffer.baseAddress, buffer.count)
        }
        if count > 0 { return Array(bytes.prefix(count)) }
        return count < 0 && (errno == EINTR || errno == EAGAIN) ? [] : nil
    }

    /// Reads to the end.
    ///
    /// - Parameter limit: Bytes at the most.
    /// - Returns: All bytes.
    /// - Throws: ``SystemError`` of read(2), and `EFBIG` for a file that goes on beyond the limit.
    ///
    /// Kernel interface: read(2).
    package func readAll(limit: Int) throws(SystemError) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes { buffer in
                unsafe read(rawValue, buffer.baseAddress, buffer.count)
            }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw SystemError(code: errno, operation: "read of a file") }
            guard count > 0 else { return bytes }
            guard bytes.count + count <= limit else {
                throw SystemError(code: EFBIG, operation: "read of a file")
            }
            bytes += chunk[..<count]
        }
    }

    /// Writes as much as can be written at once, at most 4096 bytes: what a pipe that is ready has
    /// room for.
    ///
    /// - Returns: How many were written; nil when nobody will ever take them.
    ///
    /// Kernel interface: write(2).
    package func writeOnce(_ bytes: some Collection<UInt8>) -> Int? {
        let chunk = Array(bytes.prefix(4096))
        let count = unsafe chunk.withUnsafeBytes { buffer in
            unsafe write(rawValue, buffer.baseAddress, buffer.count)
        }
        if count >= 0 { return count }
        return errno == EINTR || errno == EAGAIN ? 0 : nil
    }
}

extension Socket {
    /// Sends as much as there is room for, without waiting.
    ///
    /// - Returns: How many bytes were taken; nil when the peer has gone.
    ///
    /// Kernel interface: send(2) with `MSG_DONTWAIT`.
    package func sendNow(_ bytes: some Collection<UInt8>) -> Int? {
        let chunk = Array(bytes.prefix(4096))
        let count = unsafe chunk.withUnsafeBytes { buffer in
            unsafe Glibc.send(
                rawDescriptor,
                buffer.baseAddress,
                buffer.count,
                CInt(MSG_NOSIGNAL) | CInt(MSG_DONTWAIT)
            )
        }
        if count >= 0 { return count }
        return errno == EINTR || errno == EAGAIN ? 0 : nil
    }
}

/// What of several descriptors is ready.
package struct Readiness: Sendable {
    /// For each whether reading would not block.
    package let readable: [Bool]
    /// Whether writing to the one would not block.
    package let isWritable: Bool
}

/// Waits until one of several descriptors can be read, or one can be written.
///
/// Allocates: not for the data path.
///
/// - Parameters:
///   - readable: Raw numbers; a negative one is ignored.
///   - writable: Raw number; a negative one is ignored.
///   - timeout: The longest wait; nil waits for ever.
/// - Returns: What is ready; nothing when the time ran out or a signal came.
///
/// Kernel interface: poll(2); `POLLHUP` and `POLLERR` count as ready.
package func waitUntilReady(
    readable: [CInt],
    writable: CInt,
    timeout: Duration?
) -> Readiness {
    var set = readable.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    set.append(pollfd(fd: writable, events: Int16(POLLOUT), revents: 0))
    let milliseconds = timeout?.pollMilliseconds ?? -1
    let count = nfds_t(set.count)
    let result = unsafe set.withUnsafeMutableBufferPointer { buffer in
        unsafe poll(buffer.baseAddress, count, milliseconds)
    }
    guard result > 0 else {
        return Readiness(readable: readable.map { _ in false }, isWritable: false)
    }
    let ready = set.map { $0.revents != 0 }
    return Readiness(readable: Array(ready.dropLast()), isWritable: ready[ready.count - 1])
}
