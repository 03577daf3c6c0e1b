// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// A socket that several threads use.
final class Shared: Sendable {
    let socket: Socket
    init(_ socket: consuming Socket) { self.socket = socket }
}

/// Both ends of a socket pair, for different threads.
func sharedPair() throws -> (Shared, Shared) {
    try SocketPair().take { first, second in (Shared(first), Shared(second)) }
}

/// One end of a socket pair whose other end has been closed.
func socketOfClosedPeer() throws -> Shared {
    try SocketPair().take { _, second in Shared(second) }
}

/// Takes a waiting connection.
func acceptShared(from listener: borrowing ListeningSocket) throws -> Shared? {
    guard let socket = try listener.accept() else { return nil }
    return Shared(socket)
}

func send(_ header: [UInt8], _ body: [UInt8], on socket: borrowing Socket) throws {
    let head = header.span
    let tail = body.span
    try unsafe head.withUnsafeBytes { head throws(SystemError) in
        try unsafe tail.withUnsafeBytes { tail throws(SystemError) in
            unsafe try socket.send(head, tail)
        }
    }
}

/// What one `receive` brings; nothing at the end of the stream.
func receiveSome(from socket: borrowing Socket, most count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    let outcome = try unsafe span.withUnsafeMutableBytes { buffer throws(SystemError) in
        unsafe try socket.receive(into: buffer)
    }
    switch outcome {
    case .bytes(let received): return Array(bytes[..<received])
    case .closed: return []
    }
}

/// So many bytes, or fewer at the end of the stream.
func receive(_ count: Int, from socket: borrowing Socket) throws -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count {
        let part = try receiveSome(from: socket, most: count - bytes.count)
        if part.isEmpty { break }
        bytes += part
    }
    return bytes
}

/// Runs a thread while the caller does something else, and joins it either way.
func withThread(
    _ name: String,
    _ body: @escaping @Sendable () -> Void,
    during other: (borrowing Thread) throws -> Void
) throws {
    let thread = try Thread(name: name, body: body)
    do {
        try other(thread)
    } catch {
        thread.join()
        throw error
    }
    thread.join()
}
