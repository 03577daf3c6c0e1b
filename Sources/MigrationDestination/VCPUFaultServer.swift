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
        do {
            switch memory.pages.markRequested(page) {
            case .absent:
                sender.add(page, .vCPU)
                try sender.send(seen: seen)
                try receiver.receive()
                // The answer's page may be with another thread, which had it from the stream.
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
                try memory.repair(page)
                return true
            }
        } catch let error as LaneError {
            return survives(.lane(error), page)
        } catch let error as SystemError {
            return survives(.system(error), page)
        } catch let error as MigrationError {
            return survives(error, page)
        } catch {
            return false
        }
    }

    /// A lane that ends is no matter for a page that came another way meanwhile.
    private func survives(_ error: MigrationError, _ page: PageIndex) -> Bool {
        if memory.pages.state(of: page) == .installed { return true }
        memory.failure.report(error)
        return false
    }
}
