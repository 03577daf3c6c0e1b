// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc

/// A named thread, which has to be joined.
///
/// Blocking calls are what threads are for here: nothing on the data path runs on Swift's
/// cooperative pool.
package struct Thread: ~Copyable, Sendable {
    private let handle: pthread_t

    /// Starts a thread.
    ///
    /// - Parameters:
    ///   - name: At most 15 bytes, seen in ps and gdb.
    ///   - body: What it runs. It ends the thread by returning.
    /// - Throws: ``SystemError`` when there are too many threads (`EAGAIN`).
    ///
    /// Kernel interface: pthread_create(3).
    package init(name: String, body: @escaping @Sendable () -> Void) throws(SystemError) {
        let start = ThreadStart(name: name, body: body)
        let opaque = unsafe Unmanaged.passRetained(start)
        var handle = pthread_t()
        let code = unsafe pthread_create(&handle, nil, threadEntry, opaque.toOpaque())
        guard code == 0 else {
            unsafe opaque.release()
            throw SystemError(code: code, operation: "pthread_create")
        }
        self.handle = handle
    }

    /// Waits until the thread has ended.
    package consuming func join() {
        _ = pthread_join(handle, nil)
        discard self
    }

    /// Gives up a thread that cannot be made to end: it goes on until the process exits.
    package consuming func abandon() {
        _ = pthread_detach(handle)
        discard self
    }

    /// Interrupts a blocking system call of the thread, see ``KickSignal``.
    package func kick() {
        _ = pthread_kill(handle, KickSignal.number)
    }

    deinit {
        trapUnjoined()
    }
}

private func trapUnjoined() {
    preconditionFailure("a thread was dropped without being joined")
}

private final class ThreadStart: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.body = body
    }
}

// At file scope, so that it belongs to no actor.
private func threadEntry(_ raw: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let raw = unsafe raw else { return nil }
    let start = unsafe Unmanaged<ThreadStart>.fromOpaque(raw).takeRetainedValue()
    unsafe clinux_set_thread_name(start.name)
    KickSignal.allow()
    start.body()
    return nil
}
