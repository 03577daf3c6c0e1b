// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc

/// A socket that takes connections; a Unix socket file is removed with it.
package struct ListeningSocket: ~Copyable, Sendable {
    private let socket: Socket

    /// Where it listens; for TCP with the port it really has.
    package let address: SocketAddress

    /// Listens on an address.
    ///
    /// A Unix socket file that nobody listens on any more is replaced; one in use is not.
    ///
    /// - Throws: `EADDRINUSE` when another process listens there.
    ///
    /// Kernel interface: bind(2), listen(2).
    package init(on address: SocketAddress) throws(SystemError) {
        if case .unix(let path) = address, Self.isStale(socketFile: path) {
            _ = unsafe unlink(path)
        }
        socket = unsafe try Socket.first(of: address, operation: "listen on") { fd, name, size in
            var one: CInt = 1
            unsafe setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, 4)
            guard unsafe bind(fd, name, size) == 0, listen(fd, 64) == 0 else { return -errno }
            return clinux_set_nonblocking(fd, 1)
        }
        self.address = Self.boundAddress(of: socket, asked: address)
    }

    deinit {
        if case .unix(let path) = address { _ = unsafe unlink(path) }
    }

    /// For a poll set; readable while a connection waits.
    package var rawDescriptor: CInt { socket.rawDescriptor }

    /// Takes one waiting connection; nil when there is none.
    ///
    /// Kernel interface: accept4(2).
    package func accept() throws(SystemError) -> Socket? {
        let result = retryingInterrupts { clinux_accept(socket.rawDescriptor) }
        if result == -EAGAIN || result == -ECONNABORTED { return nil }
        let accepted = Socket(owning: FileDescriptor(owning: try checked(result, "accept")))
        try accepted.tune(for: address)
        return accepted
    }

    private static func boundAddress(
        of socket: borrowing Socket,
        asked: SocketAddress
    ) -> SocketAddress {
        guard case .tcp(let host, _) = asked else { return asked }
        var bound = sockaddr_in6()
        var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let fd = socket.rawDescriptor
        let result = unsafe withUnsafeMutableBytes(of: &bound) { bytes in
            guard let name = unsafe bytes.assumingMemoryBound(to: sockaddr.self).baseAddress
            else { return CInt(-1) }
            return unsafe getsockname(fd, name, &size)
        }
        // The port has the same place in both families.
        return result == 0 ? .tcp(host: host, port: UInt16(bigEndian: bound.sin6_port)) : asked
    }

    /// Whether a socket file is left over from a process that has ended.
    ///
    /// To connect to a file that is no socket is refused too, so the kind of file comes first.
    private static func isStale(socketFile path: String) -> Bool {
        var status = stat()
        guard unsafe lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else {
            return false
        }
        do {
            _ = unsafe try Socket.first(of: .unix(path: path), operation: "try") { fd, name, size in
                // Never wait in a full queue: that somebody has one is the answer.
                let result = clinux_set_nonblocking(fd, 1)
                return result < 0 ? result : unsafe connectSocket(fd, name, size)
            }
            return false
        } catch {
            return error.code == ECONNREFUSED
        }
    }
}
