// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// Runs one body on several threads, which all begin at the same moment.
func crowd(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) throws {
    let threads = ThreadGroup()
    let ready = FutexWord(0)
    let start = FutexWord(0)
    for number in 0..<count {
        try threads.start("test-\(number)") {
            ready.add(1)
            while start.value == 0 { start.wait(while: 0, timeout: nil) }
            body(number)
        }
    }
    while true {
        let present = ready.value
        if present == UInt32(count) { break }
        ready.wait(while: present, timeout: nil)
    }
    start.store(1)
    threads.joinAll()
}
