// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc

/// Threads that are started for one purpose and joined together.
///
/// Safe from several threads at once.
package final class ThreadGroup: Sendable {
    private final class Member: @unchecked Sendable {
        // Sendable: only touched by the one thread that took the member out of the list.
        private var thread: Thread?
        init(_ thread: consuming Thread) { self.thread = consume thread }
        func join() { thread.take()?.join() }
    }

    private let members = Locked<[Member]>([])

    /// No threads yet.
    package init() {}

    /// Starts one more thread; see ``Thread/init(name:body:)``.
    package func start(
        _ name: String,
        body: @escaping @Sendable () -> Void
    ) throws(SystemError) {
        let member = Member(try Thread(name: name, body: body))
        members.withLock { $0.append(member) }
    }

    /// Waits until all threads have ended.
    ///
    /// Whoever calls has told them to.
    package func joinAll() {
        let all = members.withLock { list in
            defer { list = [] }
            return list
        }
        for member in all { member.join() }
    }
}

/// The calling thread's task, as the kernel numbers it.
///
/// Kernel interface: gettid(2).
package func currentThreadID() -> CInt {
    clinux_gettid()
}

/// Has the calling thread stand back behind others: for background work.
///
/// When processors are short it gets a third of what others get, and any of them that wakes takes
/// its place at once: the kernel lets a thread go on to the end of its slice unless one with a
/// shorter slice wakes, and this one's is longer than all that are not set. Where the kernel
/// refuses, nothing changes.
///
/// Kernel interface: sched_setattr(2) with nice 5 and a slice of 4 ms; slices since Linux 6.12,
/// before that wake-ups look at nice values alone.
package func standBack() {
    _ = clinux_set_slice(5, 4_000_000)
}

/// Has the calling thread run as soon as it wakes: for work that a vCPU waits for, and that is over
/// in a moment.
///
/// When processors are short it takes the place of any thread that has a longer slice, a vCPU's
/// among them, and does not wait for the end of that slice, some milliseconds. It gets no larger
/// share. Where the kernel refuses, nothing changes.
///
/// Kernel interface: sched_setattr(2) with a slice of 0.1 ms, the shortest there is; since Linux
/// 6.12.
package func standReady() {
    _ = clinux_set_slice(0, 100_000)
}

/// Lets another thread run on this processor.
///
/// Kernel interface: sched_yield(2).
package func yieldProcessor() {
    sched_yield()
}
