// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import MigrationWire
package import Transport
internal import Userfault

/// Events taken by one read, and so requests in one frame.
private let eventsPerRead = 16

/// Turns touches of absent pages into requests on one urgent lane; the body of a thread.
///
/// - Parameters:
///   - memory: Where pages are missing.
///   - lane: Where requests go out.
///   - vCPU: Which of the guest's vCPUs a task is, by the kernel's number; nil when it is none.
package func readFaults(
    into memory: IncomingMemory,
    requestingOn lane: any Lane,
    vCPU: @Sendable (CInt) -> Int?
) {
    standReady()
    var sender = RequestSender(memory, on: lane, capacity: eventsPerRead)
    var batch = FaultBatch(capacity: eventsPerRead)
    do throws(MigrationError) {
        while try readEvents(memory, into: &batch) {
            try requestPages(of: batch, with: &sender, memory, vCPU)
            try wakeLate(batch, memory)
        }
    } catch {
        memory.failure.report(error)
    }
}

/// Waits for events; false when the fault readers are to end.
private func readEvents(
    _ memory: IncomingMemory,
    into batch: inout FaultBatch
) throws(MigrationError) -> Bool {
    let descriptors: [2 of CInt] = [
        memory.userfault.rawDescriptor, memory.stopReaders.rawDescriptor,
    ]
    do {
        if try waitUntilReadable(descriptors, timeout: nil)[1] { return false }
        try memory.userfault.read(into: &batch)
        return true
    } catch {
        throw .system(error)
    }
}

private func requestPages(
    of batch: borrowing FaultBatch,
    with sender: inout RequestSender,
    _ memory: IncomingMemory,
    _ vCPU: (CInt) -> Int?
) throws(MigrationError) {
    let now = MonotonicTime.now
    for index in 0..<batch.count {
        guard let event = batch[index],
            let touched = memory.ram.page(atHostAddress: event.address)
        else { continue }
        let page = memory.ram.hostPage(of: touched).first
        var waiter = RequestClass.kernelOrDevice
        if let vCPU = vCPU(event.threadID) {
            waiter = .vCPU
            memory.blockTimes.begin(vCPU, on: page, at: now)
        }
        memory.faults.countUserfault(by: waiter)
        if memory.markRequested(page) == .absent { sender.add(page, waiter) }
    }
    try sender.send(seen: now)
}

/// Lets the installers of the batch's pages know that somebody waits, and wakes those whose pages
/// are installed already.
private func wakeLate(
    _ batch: borrowing FaultBatch,
    _ memory: IncomingMemory
) throws(MigrationError) {
    for index in 0..<batch.count {
        guard let event = batch[index],
            let page = memory.ram.page(atHostAddress: event.address),
            memory.pages.noteUserfaultWaiter(page) == .installed
        else { continue }
        do {
            try memory.wakeLate(page)
        } catch {
            throw .system(error)
        }
    }
}
