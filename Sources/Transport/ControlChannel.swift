// SPDX-License-Identifier: Apache-2.0

private import LinuxSystem
package import MigrationWire
private import SwiftProtobuf

/// Control messages on the control lane: a length of four bytes, then a Protocol Buffers message.
///
/// For one thread, apart from `shutdown`.
package final class ControlChannel {
    private let lane: any Lane
    private var offset: UInt64 = 0
    /// After a message that went out in part nothing may follow it: its bytes would complete it.
    private var isBroken = false

    /// - Parameter lane: The control lane, open.
    package init(over lane: any Lane) {
        self.lane = lane
    }

    /// The longest wait for a peer to take a message.
    private static let sendLimit = Duration.seconds(10)
    private static let pieceByteCount = 1 << 15
    /// Bytes that a message may have unless a receiver expects more.
    private static let ordinaryByteCount = 4096

    /// For a poll set; readable when a message begins or the lane is closed.
    package var rawDescriptor: CInt { lane.rawDescriptor }

    /// Sends a message.
    package func send(_ body: WireControlMessage.OneOf_Body) throws(MigrationError) {
        var message = WireControlMessage()
        message.body = body
        let bytes: [UInt8]
        do {
            bytes = try message.serializedBytes()
        } catch {
            throw .machine("control message cannot be encoded: \(error)")
        }
        precondition(bytes.count <= WireLimits.controlMessageByteCount, "our message is too long")
        guard !isBroken else { throw .lane(.closed(lane.name)) }
        isBroken = true
        do {
            let length = UInt32(bytes.count)
            try send((0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + bytes)
        } catch {
            throw .lane(error)
        }
        isBroken = false
    }

    /// Encodes and parses a message that goes nowhere.
    ///
    /// The first message of a kind takes many times as long as any other, since all its code runs
    /// for the first time: this is for before a downtime.
    package static func rehearse(_ body: WireControlMessage.OneOf_Body) {
        var message = WireControlMessage()
        message.body = body
        guard let bytes = try? message.serializedBytes() as [UInt8] else { return }
        _ = try? WireControlMessage(serializedBytes: bytes)
    }

    /// Sends in pieces, so that a peer that reads slowly gains no time: the bound of the system
    /// starts anew with every buffer it takes.
    private func send(_ bytes: [UInt8]) throws(LaneError) {
        let deadline = MonotonicTime.now.advanced(by: Self.sendLimit)
        var sent = 0
        while sent < bytes.count {
            let remaining = deadline.remaining
            guard remaining > .zero else { throw .timedOut(lane.name) }
            try lane.limitBlocking(to: remaining)
            let end = min(bytes.count, sent + Self.pieceByteCount)
            let piece = bytes[sent..<end].span
            unsafe try piece.withUnsafeBytes { buffer throws(LaneError) in
                unsafe try lane.send(buffer, .init(start: nil, count: 0))
            }
            sent = end
        }
    }

    /// Waits for a message.
    ///
    /// - Parameters:
    ///   - limit: The longest wait for all of it.
    ///   - most: Bytes it may have. Parsed, a message can be many times as large, so that each is
    ///     bounded by what it is for.
    /// - Returns: Its body. An `abort` becomes an error.
    /// - Throws: ``MigrationError``: `aborted` by the peer, or what is wrong with the lane.
    package func receive(
        within limit: Duration,
        atMost most: Int? = nil
    ) throws(MigrationError) -> WireControlMessage.OneOf_Body {
        do {
            let deadline = MonotonicTime.now.advanced(by: limit)
            let header = try receive(byteCount: 4, until: deadline)
            let length = header.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            guard length > 0, length <= UInt64(most ?? Self.ordinaryByteCount) else {
                throw LaneError.violation(lane.name, offset: offset, .messageByteCount(length))
            }
            let bytes = try receive(byteCount: Int(length), until: deadline)
            guard let message = try? WireControlMessage(serializedBytes: bytes),
                let body = message.body
            else { throw LaneError.violation(lane.name, offset: offset, .message) }
            if case .abort(let abort) = body {
                throw MigrationError.aborted(Self.printable(abort.reason))
            }
            offset += 4 + length
            return body
        } catch let error as LaneError {
            throw .lane(error)
        } catch let error as MigrationError {
            throw error
        } catch {
            throw .lane(.violation(lane.name, offset: offset, .message))
        }
    }

    /// The error for a message that has no place here, or a field that is wrong.
    package func violation(_ defect: FrameDefect) -> MigrationError {
        .lane(.violation(lane.name, offset: offset, defect))
    }

    /// Tells the peer why this side gives up; never fails, the peer may have gone.
    package func abort(_ reason: some CustomStringConvertible) {
        var abort = WireAbort()
        abort.reason = Self.printable(reason.description)
        try? send(.abort(abort))
    }

    /// Ends the lane and wakes whoever waits on it.
    package func shutdown() {
        lane.shutdown()
    }

    private func receive(
        byteCount: Int,
        until deadline: MonotonicTime
    ) throws(LaneError) -> [UInt8] {
        var bytes: [UInt8] = []
        // Grows with what has really come, not with what was announced.
        while bytes.count < byteCount {
            // Each receive may wait for what is left: a peer that drips bytes gains no time.
            let remaining = deadline.remaining
            guard remaining > .zero else { throw .timedOut(lane.name) }
            try lane.limitBlocking(to: remaining)
            let before = bytes.count
            let part = min(byteCount - before, 1 << 16)
            bytes.append(contentsOf: repeatElement(0, count: part))
            var span = bytes.mutableSpan
            let count = unsafe try span.withUnsafeMutableBytes { buffer throws(LaneError) in
                unsafe try lane.receive(into: .init(rebasing: buffer[before...]))
            }
            bytes.removeLast(part - count)
        }
        return bytes
    }

    /// A peer's words, without what could play tricks on a terminal.
    private static func printable(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        var byteCount = 0
        for scalar in text.unicodeScalars where isHarmless(scalar) {
            byteCount += UTF8.width(scalar)
            guard byteCount <= WireLimits.reasonByteCount else { break }
            result.append(scalar)
        }
        return String(result)
    }

    /// Neither a control character nor one that turns the direction of text, breaks its line or
    /// cannot be seen.
    private static func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate,
            .unassigned:
            false
        default: true
        }
    }
}

extension WireControlMessage.OneOf_Body {
    /// The message's name, for errors.
    package var name: String {
        switch self {
        case .hello: "hello"
        case .welcome: "welcome"
        case .prepared: "prepared"
        case .state: "state"
        case .loaded: "loaded"
        case .run: "run"
        case .running: "running"
        case .done: "done"
        case .doneAck: "done_ack"
        case .roundReceived: "round_received"
        case .discard: "discard"
        case .discarded: "discarded"
        case .abort: "abort"
        }
    }
}
