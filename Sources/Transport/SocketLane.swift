// SPDX-License-Identifier: Apache-2.0

private import Glibc
package import LinuxSystem
package import MigrationWire

/// A lane over a Unix or TCP socket.
///
/// A receiver of pages or requests looks for up to 50 µs before it sleeps, and lets others have the
/// processor between two looks: to sleep and be woken costs as much, in a virtual machine above all.
package final class SocketLane: Lane {
    package let name: LaneName
    private let socket: Socket

    /// - Parameters:
    ///   - name: Which lane it is.
    ///   - socket: Connected.
    package init(_ name: LaneName, over socket: consuming Socket) {
        self.name = name
        self.socket = socket
    }

    package var carrier: LaneCarrier { .socket }

    package var rawDescriptor: CInt { socket.rawDescriptor }

    package func send(
        _ header: UnsafeRawBufferPointer,
        _ body: UnsafeRawBufferPointer
    ) throws(LaneError) {
        do {
            unsafe try socket.send(header, body)
        } catch {
            throw LaneError(error, on: name)
        }
    }

    package func receive(
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(LaneError) -> Int {
        do {
            let outcome: Socket.ReadOutcome
            if let early = unsafe try look(into: buffer) {
                outcome = early
            } else {
                outcome = unsafe try socket.receive(into: buffer)
            }
            switch outcome {
            case .bytes(let count): return count
            case .closed: throw LaneError.closed(name)
            }
        } catch let error as SystemError {
            throw LaneError(error, on: name)
        } catch {
            throw .closed(name)
        }
    }

    /// What comes within the time that a sleep and its wake would cost; nil when nothing does.
    private func look(
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(SystemError) -> Socket.ReadOutcome? {
        guard name != .control else { return nil }
        var start: MonotonicTime?
        while true {
            if let outcome = unsafe try socket.receiveNow(into: buffer) { return outcome }
            let now = MonotonicTime.now
            let first = start ?? now
            if now.nanoseconds(since: first) > Self.lookNanoseconds { return nil }
            start = first
            yieldProcessor()
        }
    }

    private static let lookNanoseconds: UInt64 = 50_000

    package func limitBlocking(to duration: Duration?) throws(LaneError) {
        do {
            try socket.limitBlocking(to: duration)
        } catch {
            throw .system(name, error)
        }
    }

    package func shutdown() {
        socket.shutdown()
    }
}

extension LaneError {
    /// What the failure of a call on a lane's socket means.
    ///
    /// A peer that has gone is an expected end, whatever the kernel calls it.
    init(_ error: SystemError, on name: LaneName) {
        self =
            switch error.code {
            case EPIPE, ECONNRESET: .closed(name)
            case EAGAIN: .timedOut(name)
            default: .system(name, error)
            }
    }
}
