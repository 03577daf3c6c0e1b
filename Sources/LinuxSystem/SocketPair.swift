// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc

/// Two stream sockets connected with each other, within this process.
package struct SocketPair: ~Copyable {
    /// One end.
    package let first: Socket
    /// The other end.
    package let second: Socket

    /// Kernel interface: socketpair(2).
    package init() throws(SystemError) {
        var numbers: [2 of CInt] = [-1, -1]
        var span = numbers.mutableSpan
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        let result = unsafe span.withUnsafeMutableBufferPointer { buffer in
            unsafe socketpair(AF_UNIX, type, 0, buffer.baseAddress) < 0 ? -errno : 0
        }
        try checked(result, "socketpair")
        first = Socket(owning: FileDescriptor(owning: numbers[0]))
        second = Socket(owning: FileDescriptor(owning: numbers[1]))
    }

    /// Hands both ends over to new owners.
    package consuming func take<Result>(
        _ use: (consuming Socket, consuming Socket) -> Result
    ) -> Result {
        use(first, second)
    }
}
