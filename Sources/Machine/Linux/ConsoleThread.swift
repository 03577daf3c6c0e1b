// SPDX-License-Identifier: Apache-2.0

internal import LinuxSystem

/// The thread that carries the bytes of a console to and from its other end.
///
/// It may block in a write: a terminal that is ready takes fewer bytes than it is given, and then
/// waits for whoever reads it. So nobody waits for this thread but who stops it, and not for ever.
final class ConsoleThread: Sendable {
    private let thread = Locked<Thread?>(nil)
    /// One when the body has returned.
    private let hasEnded = FutexWord(0)

    /// How long the last output may take when the machine is stopped.
    static let lastOutputLimit = Duration.seconds(1)
    /// After this time a thread that still blocks is kicked again.
    private static let kickInterval = Duration.milliseconds(10)

    /// Starts the thread, once.
    func start(_ name: String, body: @escaping @Sendable () -> Void) throws(SystemError) {
        try thread.withLock { (slot: inout Thread?) throws(SystemError) in
            guard slot == nil else { return }
            let hasEnded = hasEnded
            slot = try Thread(name: name) {
                body()
                hasEnded.store(1)
            }
        }
    }

    /// Waits for the end of the thread, which has been told to end by a time, and from then on
    /// interrupts whatever it blocks in.
    func join(by deadline: MonotonicTime) {
        guard let running = thread.withLock({ $0.take() }) else { return }
        while hasEnded.value == 0 {
            if deadline.remaining > .zero {
                hasEnded.wait(while: 0, timeout: deadline.remaining)
            } else {
                running.kick()
                hasEnded.wait(while: 0, timeout: Self.kickInterval)
            }
        }
        running.join()
    }
}
