// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem
package import MigrationWire

/// A lane over two byte rings in memory that both processes share (PROTOCOL.md, "Ring lanes").
///
/// While both sides are busy no message costs a system call: a side that waits spins for some
/// microseconds, then sleeps and has to be woken. The other process may die or write anything into
/// the memory at any time: that ends the lane with an error, never more.
package final class RingLane: Lane {
    private let memory: RingMemory
    private let lifeLine: LifeLine
    private let writer: RingWriter
    private let reader: RingReader
    private let outgoing: ByteRing
    private let incoming: ByteRing

    /// - Parameters:
    ///   - name: Which lane it is.
    ///   - socket: What the memory was handed over on; from now on nothing is said on it.
    ///   - memory: Both rings empty.
    ///   - side: Which end this is.
    package init(
        _ name: LaneName,
        over socket: consuming Socket,
        memory: RingMemory,
        as side: RingSide
    ) {
        self.memory = memory
        // Each yield puts a thread behind all others on its processor by a whole slice: nothing for
        // one that stands ready for requests, but milliseconds for a vCPU that waits for its answer.
        let isForAnswers = if case .urgent = name { side == .destination } else { false }
        lifeLine = LifeLine(name, over: socket, yields: !isForAnswers)
        outgoing = memory.ring(from: side)
        incoming = memory.ring(from: side == .source ? .destination : .source)
        writer = RingWriter(outgoing, lifeLine)
        reader = RingReader(incoming, lifeLine)
    }

    package var name: LaneName { lifeLine.name }

    package var carrier: LaneCarrier { .ring }

    package var rawDescriptor: CInt { lifeLine.rawDescriptor }

    package func send(
        _ header: UnsafeRawBufferPointer,
        _ body: UnsafeRawBufferPointer
    ) throws(LaneError) {
        unsafe try writer.write(header, body)
    }

    package func receive(into buffer: UnsafeMutableRawBufferPointer) throws(LaneError) -> Int {
        unsafe try reader.read(into: buffer)
    }

    package func limitBlocking(to duration: Duration?) throws(LaneError) {
        lifeLine.limitBlocking(to: duration)
    }

    package func shutdown() {
        lifeLine.end()
        // Threads of both sides; those of the other look at the socket then.
        for ring in [outgoing, incoming] {
            ring.writerSleeps.store(0)
            ring.writerSleeps.wakeAll()
            ring.readerSleeps.store(0)
            ring.readerSleeps.wakeAll()
        }
    }
}
