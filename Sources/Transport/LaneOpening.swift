// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem
package import MigrationWire

/// The first exchange on every lane: preamble and answer (PROTOCOL.md, "Opening a lane").
package enum LaneOpening {
    /// How long either side waits for the other's part.
    package static let limit = Duration.seconds(5)

    /// Opens a lane from the side that connects.
    package static func open(
        _ name: LaneName,
        key: SessionKey,
        through connector: some LaneConnector
    ) throws(MigrationError) -> any Lane {
        let lane = connector.lane(name, over: try connector.connect())
        do {
            try lane.limitBlocking(to: limit)
            var preamble = InlineArray<32, UInt8>(repeating: 0)
            var bytes = preamble.mutableSpan
            unsafe try bytes.withUnsafeMutableBytes { buffer throws(LaneError) in
                unsafe LanePreamble(lane: name, key: key).write(to: buffer)
                unsafe try send(UnsafeRawBufferPointer(buffer), on: lane)
                let room = unsafe UnsafeMutableRawBufferPointer(
                    rebasing: buffer[..<LaneAnswer.byteCount]
                )
                unsafe try receive(from: lane, into: room)
            }
            let answer = unsafe try bytes.withUnsafeBytes { buffer throws(RefusalReason) in
                unsafe try LaneAnswer(parsing: .init(rebasing: buffer[..<LaneAnswer.byteCount]))
            }
            switch answer.verdict {
            case .accepted where answer.version == WireLimits.version: break
            case .accepted, .wrongVersion: throw RefusalReason.version(found: answer.version)
            case .busy: throw RefusalReason.busy
            case .refused:
                throw RefusalReason.machine("the source refused the \(name)")
            }
            try lane.limitBlocking(to: nil)
            return lane
        } catch let error as LaneError {
            throw .lane(error)
        } catch let reason as RefusalReason {
            throw .refused(reason)
        } catch {
            throw .refused(.reservedBits)
        }
    }

    /// What a connecting side presented.
    package enum Arrival: ~Copyable {
        /// A preamble that makes sense; the lane is the caller's to answer.
        case preamble(LanePreamble, Socket)
        /// Something that was refused, and told so.
        case refused(RefusalReason)
        /// Nothing in time, or the connection ended.
        case silent
    }

    /// Reads the preamble of a connection that was just accepted.
    package static func receive(from socket: consuming Socket) -> Arrival {
        var bytes = InlineArray<32, UInt8>(repeating: 0)
        var span = bytes.mutableSpan
        let deadline = MonotonicTime.now.advanced(by: limit)
        let isWhole = unsafe span.withUnsafeMutableBytes { buffer in
            var count = 0
            while count < buffer.count {
                // Who drips its bytes gains no time.
                let remaining = deadline.remaining
                guard remaining > .zero, (try? socket.limitBlocking(to: remaining)) != nil else {
                    return false
                }
                let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[count...])
                guard case .bytes(let more)? = unsafe try? socket.receive(into: rest) else {
                    return false
                }
                count += more
            }
            return true
        }
        guard isWhole, (try? socket.limitBlocking(to: limit)) != nil else { return .silent }
        do {
            let preamble = unsafe try span.withUnsafeBytes { buffer throws(RefusalReason) in
                unsafe try LanePreamble(parsing: buffer)
            }
            return .preamble(preamble, socket)
        } catch {
            answer(LaneAnswer(refusing: error), on: socket)
            return .refused(error)
        }
    }

    /// Answers a preamble.
    ///
    /// A peer that has gone is noticed on the lane's first use.
    package static func answer(_ answer: LaneAnswer, on socket: borrowing Socket) {
        var bytes = InlineArray<16, UInt8>(repeating: 0)
        var span = bytes.mutableSpan
        unsafe span.withUnsafeMutableBytes { buffer in
            unsafe answer.write(to: buffer)
            try? unsafe socket.send(UnsafeRawBufferPointer(buffer), .init(start: nil, count: 0))
        }
    }

    /// Sends a preamble.
    ///
    /// Who refuses without having read it may have closed already, and then its answer is there to
    /// be received.
    private static func send(
        _ preamble: UnsafeRawBufferPointer,
        on lane: any Lane
    ) throws(LaneError) {
        do {
            unsafe try lane.send(preamble, .init(start: nil, count: 0))
        } catch {
            guard case .closed = error else { throw error }
        }
    }

    private static func receive(
        from lane: any Lane,
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(LaneError) {
        let deadline = MonotonicTime.now.advanced(by: limit)
        var count = 0
        while count < buffer.count {
            let remaining = deadline.remaining
            guard remaining > .zero else { throw .timedOut(lane.name) }
            try lane.limitBlocking(to: remaining)
            count += unsafe try lane.receive(into: .init(rebasing: buffer[count...]))
        }
    }
}
