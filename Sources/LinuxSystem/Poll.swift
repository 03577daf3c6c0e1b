// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc

/// Waits until one of several descriptors is readable, closed or failed.
///
/// - Parameters:
///   - descriptors: Raw numbers, valid during the call; a negative one is ignored.
///   - timeout: The longest wait; nil waits for ever.
/// - Returns: For each descriptor whether reading from it would not block; all false when the
///   time ran out or a signal came.
/// - Throws: ``SystemError`` of poll(2), apart from `EINTR`.
///
/// Kernel interface: poll(2) with `POLLIN`; `POLLHUP` and `POLLERR` count as readable.
package func waitUntilReadable<let count: Int>(
    _ descriptors: [count of CInt],
    timeout: Duration?
) throws(SystemError) -> [count of Bool] {
    var set = [count of pollfd](repeating: pollfd())
    for index in 0..<count {
        set[index] = pollfd(fd: descriptors[index], events: Int16(POLLIN), revents: 0)
    }
    var readable = [count of Bool](repeating: false)
    let milliseconds = timeout?.pollMilliseconds ?? -1
    var span = set.mutableSpan
    let result = unsafe span.withUnsafeMutableBufferPointer { buffer in
        unsafe poll(buffer.baseAddress, nfds_t(count), milliseconds) < 0 ? -errno : 0
    }
    if result == -EINTR { return readable }
    try checked(result, "poll")
    for index in 0..<count { readable[index] = set[index].revents != 0 }
    return readable
}

/// The same for a number of descriptors that is not fixed.
///
/// Allocates: not for the data path.
package func waitUntilReadable(
    _ descriptors: [CInt],
    timeout: Duration?
) throws(SystemError) -> [Bool] {
    var set = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    let milliseconds = timeout?.pollMilliseconds ?? -1
    let count = nfds_t(set.count)
    let result = unsafe set.withUnsafeMutableBufferPointer { buffer in
        unsafe poll(buffer.baseAddress, count, milliseconds) < 0 ? -errno : 0
    }
    if result == -EINTR { return descriptors.map { _ in false } }
    try checked(result, "poll")
    return set.map { $0.revents != 0 }
}
