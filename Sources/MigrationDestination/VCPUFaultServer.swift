// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import Machine
internal import MigrationWire
package import Telemetry
package import Transport

/// Serves the memory-fault exits of one vCPU, on the vCPU's own thread: request, receive, install,
/// re-enter, with no other thread in between.
///
/// The fast path of a destination. Nothing here allocates or logs, and nothing locks where the
/// vCPU has an urgent lane of its own.
package final class VCPUFaultServer: MemoryFaultServer, @unchecked Sendable {
    // Sendable: `span` is only touched by the vCPU's thread.
    private let memory: IncomingMemory
    private let vCPU: Int
    private let lane: any FaultLane
    private let seat: Int
    private let ring: FaultSpanRing?
    private var span = FaultSpan(.exit, seen: MonotonicTime(nanoseconds: 0))

    private init(
        _ memory: IncomingMemory,
        vCPU: Int,
        _ lane: any FaultLane,
        seat: Int,
        _ ring: FaultSpanRing?
    ) {
        self.memory = memory
        self.vCPU = vCPU
        self.lane = lane
        self.seat = seat
        self.ring = ring
    }

    /// Servers for all vCPUs: each has a lane of its own, or shares one where they are fewer.
    ///
    /// - Parameters:
    ///   - vCPUs: How many, at least as many as there are lanes.
    ///   - memory: Where pages are missing.
    ///   - lanes: Urgent lanes that nobody else uses, at least one.
    ///   - makeRing: Makes what takes the spans of a vCPU's faults; nil where nobody wants them,
    ///     and then their stages are not stamped either.
    /// - Returns: A server for each vCPU, in order.
    package static func make(
        for vCPUs: Int,
        _ memory: IncomingMemory,
        on lanes: [any Lane],
        makeRing: (_ vCPU: Int) -> FaultSpanRing?
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
                vCPU: vCPU,
                faultLanes[vCPU % lanes.count],
                seat: vCPU / lanes.count,
                makeRing(vCPU)
            )
        }
    }

    /// Makes the page at a guest physical address present.
    ///
    /// - Parameter address: From a memory-fault exit.
    /// - Returns: Whether the vCPU may re-enter; false when the page will never come, and then the
    ///   reason has been reported.
    package func serve(_ address: UInt64) -> Bool {
        span = FaultSpan(.exit, seen: .now)
        memory.faults.countExit()
        memory.blockTimes.begin(vCPU, at: span.seen)
        guard let page = memory.ram.layout.page(at: address) else {
            memory.failure.report(
                .guestEnded("it touched 0x\(String(address, radix: 16)), where it has no memory")
            )
            return false
        }
        return makePresent(memory.ram.hostPage(of: page).first)
    }

    /// The vCPU goes on: its fault is over.
    package func reenters() {
        span.ended = .now
        memory.blockTimes.end(vCPU, at: span.ended)
        ring?.record(span)
    }

    /// Fetches a page, which is the first of its host page, or waits for who does.
    private func makePresent(_ page: PageIndex) -> Bool {
        switch memory.markRequested(page) {
        case .absent:
            let isStamped = ring?.wantsStages ?? false
            do {
                try lane.fetch(page, for: seat, &span, isStamped: isStamped)
            } catch {
                // The page may still come another way; if not, the steering thread, which is told
                // here, ends the wait below.
                memory.failure.report(error)
            }
            guard memory.pages.awaitInstalled(page) else { return false }
            if isStamped { span.installed = .now }
            return true
        case .requested, .arriving:
            span.kind = .exitAwaited
            memory.faults.countAwaited()
            return memory.pages.awaitInstalled(page)
        case .installed:
            // The page is there, and fast GUP failed all the same: swapped out, unmapped,
            // write-protected.
            span.kind = .exitOnInstalled
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
