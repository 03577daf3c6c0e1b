// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Synchronization

/// Something that a thread of its own does, for which one waits with a limit.
final class Activity<Value: Sendable>: Sendable {
    /// It has not ended in time.
    struct Hung: Error, CustomStringConvertible {
        let name: String
        var description: String { "\(name) has not ended after \(Activity.limit)" }
    }

    static var limit: Duration { .seconds(20) }

    private let name: String
    private let thread = Mutex<Thread?>(nil)
    private let outcome = Mutex<Result<Value, any Error>?>(nil)
    private let isOver = FutexWord(0)
    /// Called again and again to get out a thread that hangs.
    private let rescue: @Sendable () -> Void

    init(
        _ name: String,
        rescue: @escaping @Sendable () -> Void = {},
        _ body: @escaping @Sendable () throws -> Value
    ) throws {
        self.name = name
        self.rescue = rescue
        try thread.withLock { (slot: inout Thread?) throws(SystemError) in
            slot = try Thread(name: name) { [self] in
                let result = Result { try body() }
                outcome.withLock { $0 = result }
                isOver.store(1)
            }
        }
    }

    /// Whether the thread has not ended after a while.
    func goesOn(for duration: Duration) -> Bool { !ends(within: duration) }

    /// Waits for the thread's result.
    ///
    /// - Throws: What its body threw, or ``Hung``; then whatever it hung on has been torn down.
    func value() throws -> Value {
        let isInTime = ends(within: Self.limit)
        if !isInTime {
            for _ in 0..<100 where isOver.value == 0 {
                rescue()
                thread.withLock { $0?.kick() }
                isOver.wait(while: 0, timeout: .milliseconds(20))
            }
        }
        if let thread = thread.withLock({ $0.take() }) {
            if isOver.value == 0 { thread.abandon() } else { thread.join() }
        }
        guard isInTime, let result = outcome.withLock({ $0 }) else { throw Hung(name: name) }
        return try result.get()
    }

    private func ends(within limit: Duration) -> Bool {
        let end = MonotonicTime.now.advanced(by: limit)
        while isOver.value == 0, MonotonicTime.now < end {
            isOver.wait(while: 0, timeout: .milliseconds(100))
        }
        return isOver.value == 1
    }
}

/// Waits until something holds that another thread does.
func eventually(
    within limit: Duration = .seconds(20),
    _ condition: () throws -> Bool
) rethrows -> Bool {
    let end = MonotonicTime.now.advanced(by: limit)
    let pause = FutexWord(0)
    while try !condition() {
        if MonotonicTime.now > end { return false }
        pause.wait(while: 0, timeout: .milliseconds(1))
    }
    return true
}
