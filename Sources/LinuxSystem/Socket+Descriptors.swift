// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc

extension Socket {
    /// Sends bytes in full, and a descriptor with the first of them.
    ///
    /// - Parameters:
    ///   - bytes: At least one.
    ///   - passed: What the peer is to have too.
    /// - Throws: `EPIPE` or `ECONNRESET` when the peer has gone; `EINVAL` unless this is a Unix
    ///   socket.
    ///
    /// Kernel interface: sendmsg(2), SCM_RIGHTS.
    package func send(
        _ bytes: UnsafeRawBufferPointer,
        passing passed: borrowing FileDescriptor
    ) throws(SystemError) {
        precondition(bytes.count > 0)
        let fd = rawDescriptor
        let number = passed.rawValue
        let result = retryingInterrupts {
            unsafe clinux_send_descriptor(fd, bytes.baseAddress, bytes.count, number)
        }
        let sent = Int(try checked(result, "sendmsg"))
        unsafe try send(.init(rebasing: bytes[sent...]), .init(start: nil, count: 0))
    }

    /// Reads what has come, at least one byte, and takes a descriptor if one came with it.
    ///
    /// - Parameters:
    ///   - buffer: Room for the bytes.
    ///   - passed: Replaced when a descriptor came; of several only the first is taken.
    /// - Returns: What came.
    /// - Throws: `EAGAIN` after the bound of `limitBlocking`, and what recvmsg(2) says.
    ///
    /// Kernel interface: recvmsg(2), SCM_RIGHTS.
    package func receive(
        into buffer: UnsafeMutableRawBufferPointer,
        accepting passed: inout FileDescriptor?
    ) throws(SystemError) -> ReadOutcome {
        let fd = rawDescriptor
        var number: CInt = -1
        let result = retryingInterrupts {
            unsafe clinux_receive_descriptor(fd, buffer.baseAddress, buffer.count, &number)
        }
        if number >= 0 { passed = FileDescriptor(owning: number) }
        let count = try checked(result, "recvmsg")
        return count > 0 ? .bytes(Int(count)) : .closed
    }

    /// What can be said of a peer without reading from it.
    package enum PeerState {
        /// Connected, and nothing has come.
        case silent
        /// Connected, and bytes wait to be received.
        case speaking
        /// It closed the connection or ended, or `shutdown` was called here.
        case gone
    }

    /// Looks whether the peer is still there; never waits.
    ///
    /// Kernel interface: recv(2), MSG_PEEK. Cost: about 300 ns.
    package var peerState: PeerState {
        var byte: UInt8 = 0
        let flags = CInt(MSG_PEEK | MSG_DONTWAIT)
        let result = unsafe recv(rawDescriptor, &byte, 1, flags)
        if result > 0 { return .speaking }
        if result < 0 && (errno == EAGAIN || errno == EINTR) { return .silent }
        return .gone
    }
}
