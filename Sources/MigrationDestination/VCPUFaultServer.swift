// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import MigrationWire
package import Telemetry
package import Transport

/// Serves the memory-fault exits of one vCPU, on the vCPU's own thread: request, receive, install,
/// re-enter, with no other thread in between.
///
/// The fast path of a destination. Nothing here allocates or logs, and nothing locks where the
/// vCPU has an urgent lane of its own.
package final class VCPUFaultServer: Sendable {
    private let memory: IncomingMemory
    private let latencies: LatencyRing
    private let lane: any FaultLane
    private let seat: Int

    private init(
        _ memory: IncomingMemory,
        _ lane: any FaultLane,
        seat: Int,
        _ latencies: LatencyRing
    ) {
        self.memory = memory
        self.latencies = latencies
        self.lane = lane
        self.seat = seat
    }

    /// Servers for all vCPUs: each has a lane of its own, or shares one where they are fewer.
    ///
    /// - Parameters:
    ///   - vCPUs: How many, at least as many as there are lanes.
    ///   - memory: Where pages are missing.
    ///   - lanes: Urgent lanes that nobody else uses, at least one.
    ///   - makeRing: Makes what takes the time from each exit to the install of its page, for one
    ///     vCPU.
    /// - Returns: A server for each vCPU, in order.
    package static func make(
        for vCPUs: Int,
        _ memory: IncomingMemory,
        on lanes: [any Lane],
        makeRing: () -> LatencyRing
    ) -> [VCPUFaultServer] {
        precondition((1...vCPUs).contains(lanes.count), "no lane, or one without a vCPU")
        let faultLanes: [any FaultLane] = lanes.enumerated().map { index, lane in
            let seats = (vCPUs - index + lanes.count - 1) / lanes.count
            return seats == 1
                ? OwnFaultLane(lane, into: memory)
                : SharedFaultLane(lane, into: memory, seats: seats)
        }
        return (0..<vCPUs).map { vCPU in
            VCPUFaultServer(
                memory,
                faultLanes[vCPU % lanes.count],
                seat: vCPU / lanes.count,
                makeRing()
            )
        }
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
        let isPresent = makePresent(memory.ram.hostPage(of: page).first, seen)
        memory.faults.countBlocked(nanoseconds: MonotonicTime.now.nanoseconds(since: seen))
        return isPresent
    }

    /// Fetches a page, which is the first of its host page, or waits for who does.
    private func makePresent(_ page: PageIndex, _ seen: MonotonicTime) -> Bool {
        switch memory.markRequested(page) {
        case .absent:
            do {
                try lane.fetch(page, for: seat, seen: seen)
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
