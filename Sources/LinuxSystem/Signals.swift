// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc

/// The signal that makes a blocking call of one thread return `EINTR`.
package enum KickSignal {
    /// The first real-time signal that the C library leaves to programs.
    package static let number: CInt = clinux_sigrtmin()

    /// Installs a handler that does nothing, without `SA_RESTART`.
    ///
    /// Call before the first kick.
    package static func install() throws(SystemError) {
        try checked(clinux_install_handler(number, ignoreSignal), "sigaction")
    }

    /// Lets the signal reach the calling thread.
    ///
    /// A thread inherits the signals that its creator has blocked, and threads of Swift's own
    /// pools block all of them.
    static func allow() {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        unsafe sigaddset(&set, number)
        _ = unsafe pthread_sigmask(SIG_UNBLOCK, &set, nil)
    }
}

private func ignoreSignal(_: CInt) {}

/// SIGINT and SIGTERM as a descriptor, instead of as interruptions.
///
/// Create it before any other thread: threads inherit the blocked set.
package final class StopSignals: Sendable {
    private let descriptor: FileDescriptor

    /// Blocks both signals for this thread and those it starts.
    ///
    /// Kernel interface: signalfd(2).
    package init() throws(SystemError) {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        unsafe sigaddset(&set, SIGINT)
        unsafe sigaddset(&set, SIGTERM)
        let code = unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        guard code == 0 else { throw SystemError(code: code, operation: "pthread_sigmask") }
        // A peer that went away is a return value of send(2), never the end of the process.
        signal(SIGPIPE, SIG_IGN)
        descriptor = FileDescriptor(
            owning: try checked(unsafe clinux_signalfd(&set), "signalfd")
        )
    }

    /// For a poll set; readable once a signal has come.
    package var rawDescriptor: CInt { descriptor.rawValue }

    /// Takes one signal, if there is one.
    ///
    /// - Returns: The signal's number, or nil when none has come.
    package func take() -> CInt? {
        var information = signalfd_siginfo()
        let size = MemoryLayout<signalfd_siginfo>.size
        let count = unsafe read(descriptor.rawValue, &information, size)
        return count == size ? CInt(information.ssi_signo) : nil
    }
}
