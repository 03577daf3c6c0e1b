// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import CGuest
internal import Glibc
internal import KVM
internal import LinuxSystem
internal import Synchronization
internal import Userfault

/// One run: vCPUs and readers are made ready, released together, and waited for.
final class PagingRun: Sendable {
    private let parameters: PagingParameters
    private let guest: PagingGuest
    private let pager: Pager
    /// Threads that wait for the gate, and vCPU threads that have not ended.
    private let ready = FutexWord(0)
    private let gate = FutexWord(0)
    private let running: FutexWord
    private let stopReaders: EventFD
    private let sum = Mutex(Sum())

    private struct Sum {
        var counts = PagingCounts()
        var lastEnd = MonotonicTime(nanoseconds: 1)
    }

    /// Events taken by one read.
    private static let eventsPerRead = 16

    private init(_ parameters: PagingParameters) throws {
        self.parameters = parameters
        guest = try PagingGuest(parameters)
        pager = try Pager(guest, parameters)
        running = FutexWord(UInt32(parameters.vCPUs))
        stopReaders = try EventFD()
    }

    /// Runs an experiment once.
    ///
    /// A run that fails on the way, or is not over in time, leaves threads behind that nothing
    /// ends, and so ends the process with ``WorkbenchStatus/failed`` and a line that says why.
    ///
    /// - Parameter parameters: The experiment.
    /// - Returns: What was measured.
    /// - Throws: What it could not begin for, or a result that is wrong.
    static func measure(_ parameters: PagingParameters) throws(BenchFailure) -> PagingResult {
        do {
            return try PagingRun(parameters).measure()
        } catch {
            throw BenchFailure(error)
        }
    }

    private func measure() throws -> PagingResult {
        let vCPUs = ThreadGroup()
        let readers = ThreadGroup()
        for (index, userfault) in pager.userfaults.enumerated() {
            for _ in 0..<parameters.readers {
                try readers.start("reader-\(index)") { [self] in read(userfault) }
            }
        }
        for virtualCPU in guest.virtualCPUs {
            try vCPUs.start("vcpu-\(virtualCPU.index)") { [self] in touch(virtualCPU) }
        }
        let limit = MonotonicTime.now.advanced(by: .seconds(parameters.limitSeconds))
        let threads = parameters.vCPUs + parameters.userfaults * parameters.readers
        wait(for: ready, toBe: UInt32(threads), until: limit)
        let start = MonotonicTime.now
        gate.store(1)
        wait(for: running, toBe: 0, until: limit)
        vCPUs.joinAll()
        stopReaders.signal()
        readers.joinAll()
        let (counts, end) = sum.withLock { ($0.counts, $0.lastEnd) }
        guard counts.installs == parameters.installs else {
            throw BenchFailure.failed(
                "\(counts.installs) pages were installed, not \(parameters.installs)"
            )
        }
        guard guest.isAsExpected(filler: Pager.filler) else {
            throw BenchFailure.failed("guest memory does not hold what it should")
        }
        return PagingResult(parameters, counts, nanoseconds: end.nanoseconds(since: start))
    }

    /// Body of a vCPU's thread.
    private func touch(_ virtualCPU: VirtualCPU) {
        waitAtGate()
        var counts = PagingCounts()
        if parameters.isProfiled { counts.clock = PageCostClock() }
        do {
            try touchAll(virtualCPU, &counts)
        } catch {
            giveUp("\(error)")
        }
        finish(counts, at: .now)
        running.decrement()
    }

    private func touchAll(
        _ virtualCPU: VirtualCPU,
        _ counts: inout PagingCounts
    ) throws(BenchFailure) {
        do {
            while true {
                let exit = try virtualCPU.run()
                counts.clock?.lap(.run)
                switch exit {
                case .memoryFault(let fault) where parameters.path != .userfault:
                    try pager.serve(fault, &counts)
                    if guest.prefaults {
                        guest.exits.prepareReentry(of: virtualCPU, after: fault)
                        counts.clock?.lap(.prefault)
                    }
                case .interrupted: continue
                case .portAccess(let access) where access.port == CGUEST_PORT_TOUCHED: return
                case let exit: throw BenchFailure.failed("vCPU \(virtualCPU.index): \(exit)")
                }
            }
        } catch {
            throw BenchFailure(error)
        }
    }

    /// Body of a reader's thread.
    private func read(_ userfault: Userfaultfd) {
        var batch = FaultBatch(capacity: Self.eventsPerRead)
        var counts = PagingCounts()
        do {
            let events = try ReadySet()
            try events.add(userfault.rawDescriptor, wakes: .one)
            try events.add(stopReaders.rawDescriptor, wakes: .all)
            waitAtGate()
            while true {
                // More may have come while the last ones were served: then there is no need to ask.
                if batch.count == 0, try events.wait() == stopReaders.rawDescriptor { break }
                try userfault.read(into: &batch)
                for index in 0..<batch.count {
                    guard let event = batch[index] else { continue }
                    try pager.serve(event, of: userfault, &counts)
                }
            }
        } catch {
            giveUp("reader: \(error)")
        }
        finish(counts, at: nil)
    }

    private func waitAtGate() {
        ready.add(1)
        while gate.value == 0 { gate.wait(while: 0, timeout: nil) }
    }

    private func finish(_ counts: PagingCounts, at end: MonotonicTime?) {
        sum.withLock { sum in
            sum.counts += counts
            if let end { sum.lastEnd = max(sum.lastEnd, end) }
        }
    }

    private func wait(for word: FutexWord, toBe target: UInt32, until limit: MonotonicTime) {
        while true {
            let value = word.value
            if value == target { return }
            let left = limit.remaining
            guard left > .zero else {
                giveUp("did not end within \(parameters.limitSeconds) s")
            }
            word.wait(while: value, timeout: left)
        }
    }

    private func giveUp(_ reason: String) -> Never {
        let text = "apus: \(parameters.path.rawValue), \(parameters.vCPUs) vCPUs: \(reason)\n"
        _ = unsafe Glibc.write(2, text, text.utf8.count)
        _exit(WorkbenchStatus.failed.rawValue)
    }
}
