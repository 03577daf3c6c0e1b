// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import MigrationWire
package import Telemetry
package import Transport

/// Serves the memory-fault exits of one vCPU, on the vCPU's own thread and an urgent lane of its
/// own: request, receive, install, re-enter, with no other thread in between.
///
/// The fast path of a destination. Nothing here allocates, locks or logs.
package final class VCPUFaultServer: @unchecked Sendable {
    // Sendable: everything mutable is only touched by the vCPU's thread, in `serve`.
    private let memory: IncomingMemory
    private let latencies: LatencyRing
    private var sender: RequestSender
    private var receiver: AnswerReceiver

    /// - Parameters:
    ///   - memory: Where pages are missing.
    ///   - lane: An urgent lane that nobody else uses.
    ///   - latencies: Takes the time from each exit to the install of its page.
    package init(_ memory: IncomingMemory, on lane: any Lane, latencies: LatencyRing) {
        self.memory = memory
        self.latencies = latencies
        sender = RequestSender(memory, on: lane, capacity: 1)
        receiver = AnswerReceiver(lane, into: memory, wake: .onlyKnownWaiters)
    }

    /// Makes the page at a guest physical address present.
    ///
    /// - Parameter address: From a memory-fault exit.
    /// - Returns: Whether the vCPU may re-enter; false when the page will never come, and then the
    ///   reason has been reported.
    package func serve(_ address: UInt64) -> Bool {
        let seen = MonotonicTime.now
        memory.faults.countExit()
        guard let page = memory.ram.layout.page(at: address) else {
            memory.failure.report(
                .guestEnded("it touched 0x\(String(address, radix: 16)), where it has no memory")
            )
            return false
        }
        let isPresent = makePresent(page, seen)
        memory.faults.countBlocked(nanoseconds: MonotonicTime.now.nanoseconds(since: seen))
        return isPresent
    }

    private func makePresent(_ page: PageIndex, _ seen: MonotonicTime) -> Bool {
        switch memory.pages.markRequested(page) {
        case .absent:
            do {
                sender.add(page, .vCPU)
                try sender.send(seen: seen)
                // The answer's page may be with another thread, which had it from the stream.
                repeat { try receiver.receive() } while memory.pages.state(of: page) == .requested
            } catch {
                // The page may still come another way; if not, the steering thread, which is told
                // here, ends the wait below.
                memory.failure.report(error)
            }
            guard memory.pages.awaitInstalled(page) else { return false }
            latencies.record(nanoseconds: MonotonicTime.now.nanoseconds(since: seen))
            return true
        case .requested, .arriving:
            memory.faults.countAwaited()
            return memory.pages.awaitInstalled(page)
        case .installed:
            // The page is there, and fast GUP failed all the same: swapped out, unmapped,
            // write-protected.
            memory.faults.countOnInstalled()
            do {
                try memory.repair(page)
                return true
            } catch {
                // A memory error, or no memory left: it would exit for this page for ever.
                memory.failure.report(.system(error))
                return false
            }
        }
    }
}
