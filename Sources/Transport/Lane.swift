// SPDX-License-Identifier: Apache-2.0

package import MigrationWire

/// One ordered channel of bytes between the two processes.
///
/// Sending, receiving and `shutdown` are safe from different threads at once; one thread sends
/// and one receives.
package protocol Lane: AnyObject, Sendable {
    /// Which lane it is, for errors.
    var name: LaneName { get }

    /// What carries its bytes.
    var carrier: LaneCarrier { get }

    /// For a poll set: readable when the lane is closed, and on a socket lane also when there is
    /// something to receive.
    var rawDescriptor: CInt { get }

    /// Sends one message in full: a header and a body, either of which may be empty.
    func send(_ header: UnsafeRawBufferPointer, _ body: UnsafeRawBufferPointer) throws(LaneError)

    /// Waits for bytes.
    ///
    /// - Returns: How many were received, at least one.
    /// - Throws: `closed` at the end of the stream.
    func receive(into buffer: UnsafeMutableRawBufferPointer) throws(LaneError) -> Int

    /// Bounds every later wait of `send` and `receive`; nil lifts the bound.
    func limitBlocking(to duration: Duration?) throws(LaneError)

    /// Ends both directions for good and wakes every thread that waits in them.
    func shutdown()
}
