// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc

extension Socket {
    /// Opens a socket for each form an address has until `use` accepts one.
    ///
    /// - Parameters:
    ///   - address: What to look up.
    ///   - operation: Names what is tried, in the error.
    ///   - use: Binds or connects; zero or `-errno`.
    /// - Returns: The socket that was accepted.
    /// - Throws: ``SystemError`` of the last form tried.
    static func first(
        of address: SocketAddress,
        operation: String,
        use: (CInt, UnsafePointer<sockaddr>, socklen_t) -> CInt
    ) throws(SystemError) -> Socket {
        switch address {
        case .unix(let path):
            let socket = try open(family: AF_UNIX)
            let result = unsafe withUnixName(path) { name, size in
                unsafe use(socket.rawDescriptor, name, size)
            }
            try checked(result, "\(operation) \(address)")
            return socket
        case .tcp(let host, let port):
            let named = "\(operation) \(address)"
            return unsafe try firstOfTCP(host, port, operation: named, use: use)
        }
    }

    private static func withUnixName(
        _ path: String,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt
    ) -> CInt {
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        return unsafe withUnsafeMutableBytes(of: &name) { bytes in
            let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
            for (index, byte) in path.utf8.prefix(SocketAddress.longestPath).enumerated() {
                unsafe bytes[offset + index] = byte
            }
            guard let name = unsafe bytes.assumingMemoryBound(to: sockaddr.self).baseAddress
            else { return -EINVAL }
            return unsafe body(name, socklen_t(bytes.count))
        }
    }

    private static func firstOfTCP(
        _ host: String,
        _ port: UInt16,
        operation: String,
        use: (CInt, UnsafePointer<sockaddr>, socklen_t) -> CInt
    ) throws(SystemError) -> Socket {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = AI_PASSIVE
        var list: UnsafeMutablePointer<addrinfo>?
        let code = unsafe getaddrinfo(host.isEmpty ? nil : host, "\(port)", &hints, &list)
        guard code == 0 else { throw SystemError(code: EADDRNOTAVAIL, operation: operation) }
        defer { unsafe freeaddrinfo(list) }
        var last = -EADDRNOTAVAIL
        var next = unsafe list
        while let entry = unsafe next {
            unsafe next = entry.pointee.ai_next
            guard let name = unsafe entry.pointee.ai_addr else { continue }
            do {
                let socket = try open(family: unsafe entry.pointee.ai_family)
                last = unsafe use(socket.rawDescriptor, name, entry.pointee.ai_addrlen)
                if last >= 0 { return socket }
            } catch {
                // A kernel without IPv6 has no such sockets; the next form may do.
                last = -error.code
            }
        }
        throw SystemError(code: -last, operation: operation)
    }

    private static func open(family: CInt) throws(SystemError) -> Socket {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        let fd = socket(family, type, 0)
        guard fd >= 0 else { throw SystemError(code: errno, operation: "socket") }
        return Socket(owning: FileDescriptor(owning: fd))
    }
}
