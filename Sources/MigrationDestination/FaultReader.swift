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
///   - isVCPU: Whether a task, by the kernel's number, is one of the guest's vCPUs.
package func readFaults(
    into memory: IncomingMemory,
    requestingOn lane: any Lane,
    isVCPU: @Sendable (CInt) -> Bool
) {
    var sender = RequestSender(memory, on: lane, capacity: eventsPerRead)
    var batch = FaultBatch(capacity: eventsPerRead)
    do {
        while try waitForFaults(memory) {
            try memory.userfault.read(into: &batch)
            try requestPages(of: batch, with: &sender, memory, isVCPU)
        }
    } catch let error as LaneError {
        memory.failure.report(.lane(error))
    } catch let error as SystemError {
        memory.failure.report(.system(error))
    } catch {
        memory.failure.report(.machine("\(error)"))
    }
}

/// False when the fault readers are to end.
private func waitForFaults(_ memory: IncomingMemory) throws(SystemError) -> Bool {
    let descriptors: [2 of CInt] = [
        memory.userfault.rawDescriptor, memory.stopReaders.rawDescriptor,
    ]
    return !(try waitUntilReadable(descriptors, timeout: nil))[1]
}

private func requestPages(
    of batch: borrowing FaultBatch,
    with sender: inout RequestSender,
    _ memory: IncomingMemory,
    _ isVCPU: (CInt) -> Bool
) throws {
    let now = MonotonicTime.now
    for index in 0..<batch.count {
        guard let event = batch[index],
            let page = memory.ram.page(atHostAddress: event.address)
        else { continue }
        let waiter = isVCPU(event.threadID) ? RequestClass.vCPU : .kernelOrDevice
        memory.faults.countUserfault(by: waiter)
        if memory.pages.markRequested(page) == .absent { sender.add(page, waiter) }
        // Whoever installs the page now knows that this thread waits for it.
        if memory.pages.noteUserfaultWaiter(page) == .installed { try memory.wakeLate(page) }
    }
    try sender.send(seen: now)
}
