// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc

/// A connected stream socket.
///
/// Reading, writing and `shutdown` are safe from several threads at once.
package struct Socket: ~Copyable, Sendable {
    private let descriptor: FileDescriptor

    init(owning descriptor: consuming FileDescriptor) {
        self.descriptor = descriptor
    }

    /// What a read from a stream brought.
    package enum ReadOutcome: Equatable {
        /// So many bytes, at least one.
        case bytes(Int)
        /// The peer closed, or `shutdown` was called here.
        case closed
    }

    /// For a poll set.
    package var rawDescriptor: CInt { descriptor.rawValue }

    // MARK: Connecting

    /// Connects to an address.
    ///
    /// Kernel: connect(2).
    package static func connect(to address: SocketAddress) throws(SystemError) -> Socket {
        let socket = unsafe try first(of: address, operation: "connect to") { fd, name, size in
            // Bounds connect(2) too, which then says EINPROGRESS (TCP) or EAGAIN (Unix).
            var limit = timeval(tv_sec: connectLimitSeconds, tv_usec: 0)
            let byteCount = socklen_t(MemoryLayout<timeval>.size)
            unsafe setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, byteCount)
            let result = unsafe connectSocket(fd, name, size)
            return result == -EINPROGRESS || result == -EAGAIN ? -ETIMEDOUT : result
        }
        try socket.limitBlocking(to: nil)
        try socket.tune(for: address)
        return socket
    }

    /// The longest wait for a connection, in seconds.
    private static let connectLimitSeconds = 5

    /// How long a peer may be silent to keep-alive probes, or leave data unacknowledged, before
    /// a TCP connection counts as lost.
    package static let silenceLimitSeconds: CInt = 10

    func tune(for address: SocketAddress) throws(SystemError) {
        guard case .tcp = address else { return }
        try set(IPPROTO_TCP, TCP_NODELAY, 1)
        try set(SOL_SOCKET, SO_KEEPALIVE, 1)
        try set(IPPROTO_TCP, TCP_KEEPIDLE, 2)
        try set(IPPROTO_TCP, TCP_KEEPINTVL, 2)
        try set(IPPROTO_TCP, TCP_KEEPCNT, (Self.silenceLimitSeconds - 2) / 2)
        try set(IPPROTO_TCP, TCP_USER_TIMEOUT, Self.silenceLimitSeconds * 1000)
    }

    private func set<Level: BinaryInteger>(
        _ level: Level,
        _ option: CInt,
        _ value: CInt
    ) throws(SystemError) {
        var value = value
        if unsafe setsockopt(descriptor.rawValue, CInt(level), option, &value, 4) < 0 {
            throw SystemError(code: errno, operation: "setsockopt(\(option))")
        }
    }

    /// Bounds what the kernel buffers for sending, in bytes.
    package func limitSendBuffer(byteCount: Int) throws(SystemError) {
        try set(SOL_SOCKET, SO_SNDBUF, CInt(clamping: byteCount))
    }

    /// Bounds every single `send` and `receive`; a call that takes longer fails with `EAGAIN`.
    ///
    /// Nil lifts the bound.
    package func limitBlocking(to duration: Duration?) throws(SystemError) {
        // Zero would lift the bound: the shortest there is, is a microsecond.
        let microseconds = duration.map { max(1, $0.wholeNanoseconds / 1000) } ?? 0
        var limit = timeval(
            tv_sec: Int(microseconds / 1_000_000),
            tv_usec: Int(microseconds % 1_000_000)
        )
        let size = socklen_t(MemoryLayout<timeval>.size)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            if unsafe setsockopt(descriptor.rawValue, SOL_SOCKET, option, &limit, size) < 0 {
                throw SystemError(code: errno, operation: "setsockopt(\(option))")
            }
        }
    }

    // MARK: Bytes

    /// Sends a header and a body in full, in one system call where the kernel takes them whole.
    ///
    /// - Throws: `EPIPE` or `ECONNRESET` when the peer has gone. Kernel: sendmsg(2).
    package func send(
        _ header: UnsafeRawBufferPointer,
        _ body: UnsafeRawBufferPointer
    ) throws(SystemError) {
        var sent = 0
        let total = header.count + body.count
        while sent < total {
            let headerLeft = max(0, header.count - sent)
            let bodyDone = max(0, sent - header.count)
            var parts: [2 of iovec] = unsafe [
                iovec(
                    iov_base: UnsafeMutableRawPointer(mutating: header.baseAddress)
                        .map { unsafe $0 + (header.count - headerLeft) },
                    iov_len: headerLeft
                ),
                iovec(
                    iov_base: UnsafeMutableRawPointer(mutating: body.baseAddress)
                        .map { unsafe $0 + bodyDone },
                    iov_len: body.count - bodyDone
                ),
            ]
            let result = unsafe withUnsafeMutablePointer(to: &parts) { pointer in
                var message = unsafe msghdr()
                unsafe message.msg_iov = UnsafeMutableRawPointer(pointer)
                    .assumingMemoryBound(to: iovec.self)
                unsafe message.msg_iovlen = 2
                let count = unsafe sendmsg(
                    descriptor.rawValue,
                    &message,
                    CInt(MSG_NOSIGNAL)
                )
                return count < 0 ? -Int(errno) : count
            }
            if result == -Int(EINTR) { continue }
            guard result >= 0 else { throw SystemError(code: CInt(-result), operation: "sendmsg") }
            sent += result
        }
    }

    /// Reads what has come, at least one byte.
    ///
    /// Kernel: recv(2).
    package func receive(
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(SystemError) -> ReadOutcome {
        unsafe try receive(into: buffer, flags: 0)
    }

    /// The same without waiting: nil while there is nothing.
    ///
    /// Kernel: recv(2) with MSG_DONTWAIT.
    package func receiveNow(
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(SystemError) -> ReadOutcome? {
        do throws(SystemError) {
            return unsafe try receive(into: buffer, flags: CInt(MSG_DONTWAIT))
        } catch {
            if error.code == EAGAIN { return nil }
            throw error
        }
    }

    private func receive(
        into buffer: UnsafeMutableRawBufferPointer,
        flags: CInt
    ) throws(SystemError) -> ReadOutcome {
        while true {
            let result = unsafe recv(descriptor.rawValue, buffer.baseAddress, buffer.count, flags)
            if result > 0 { return .bytes(result) }
            if result == 0 { return .closed }
            if errno == EINTR { continue }
            throw SystemError(code: errno, operation: "recv")
        }
    }

    /// Ends both directions: every thread that sends or receives on this socket is woken.
    package func shutdown() {
        _ = shutdownSocket(descriptor.rawValue)
    }
}

// The methods of Socket hide the functions of the same name.
private func shutdownSocket(_ fd: CInt) -> CInt { shutdown(fd, CInt(SHUT_RDWR)) }

func connectSocket(
    _ fd: CInt,
    _ name: UnsafePointer<sockaddr>,
    _ size: socklen_t
) -> CInt {
    unsafe connect(fd, name, size) < 0 ? -errno : 0
}
