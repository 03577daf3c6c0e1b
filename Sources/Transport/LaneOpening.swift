// SPDX-License-Identifier: Apache-2.0

private import Glibc
package import LinuxSystem
package import MigrationWire

/// The first exchange on every lane: preamble and answer (PROTOCOL.md, "Opening a lane").
package enum LaneOpening {
    /// How long either side waits for the other's part.
    package static let limit = Duration.seconds(5)

    // MARK: The side that connects

    /// Opens a lane from the side that connects.
    ///
    /// - Parameters:
    ///   - name: Which lane.
    ///   - key: The session; ``SessionKey/none`` for the control lane.
    ///   - connector: Leads to the source, and says whether rings are to carry the lane.
    /// - Returns: The lane, open.
    /// - Throws: What is wrong with the connection, or why the source refused.
    package static func open(
        _ name: LaneName,
        key: SessionKey,
        through connector: some LaneConnector
    ) throws(MigrationError) -> any Lane {
        let socket = try connector.connect()
        let shape = connector.transport == .socket ? nil : RingShape.offered(for: name)
        let preamble = LanePreamble(lane: name, key: key, ring: shape)
        let ring: RingMemory?
        let answer: LaneAnswer
        do {
            try socket.limitBlocking(to: limit)
            ring = try send(preamble, on: socket)
            answer = try receiveAnswer(on: socket)
            try socket.limitBlocking(to: nil)
        } catch let error as SystemError {
            throw .lane(LaneError(error, on: name))
        } catch let reason as RefusalReason {
            throw .refused(reason)
        } catch {
            throw .refused(.reservedBits)
        }
        switch answer.verdict {
        case .accepted where answer.version == WireLimits.version: break
        case .accepted, .wrongVersion: throw .refused(.version(found: answer.version))
        case .busy: throw .refused(.busy)
        case .refused: throw .refused(.machine("the source refused the \(name)"))
        }
        if answer.takesRing && ring == nil { throw .refused(.reservedBits) }
        if !answer.takesRing && ring != nil && connector.transport == .ring {
            throw .refused(.noRing)
        }
        return connector.lane(name, over: socket, ring: answer.takesRing ? ring : nil)
    }

    /// Sends a preamble, with the memory for the rings it offers.
    ///
    /// Who refuses without having read it may have closed already, and then its answer is there to
    /// be received.
    ///
    /// - Returns: The memory; nil where no rings are offered.
    private static func send(
        _ preamble: LanePreamble,
        on socket: borrowing Socket
    ) throws(SystemError) -> RingMemory? {
        var bytes = InlineArray<32, UInt8>(repeating: 0)
        var span = bytes.mutableSpan
        return try unsafe span.withUnsafeMutableBytes { buffer throws(SystemError) in
            unsafe preamble.write(to: buffer)
            let bytes = UnsafeRawBufferPointer(buffer)
            guard let shape = preamble.ring else {
                try unlessClosed { () throws(SystemError) in
                    unsafe try socket.send(bytes, .init(start: nil, count: 0))
                }
                return nil
            }
            let file = try RingMemory.file(for: shape)
            let ring = try RingMemory(file, shape: shape)
            try unlessClosed { () throws(SystemError) in
                unsafe try socket.send(bytes, passing: file.descriptor)
            }
            return ring
        }
    }

    private static func unlessClosed(_ send: () throws(SystemError) -> Void) throws(SystemError) {
        do {
            try send()
        } catch {
            guard error.code == EPIPE || error.code == ECONNRESET else { throw error }
        }
    }

    private static func receiveAnswer(on socket: borrowing Socket) throws -> LaneAnswer {
        var bytes = InlineArray<16, UInt8>(repeating: 0)
        var span = bytes.mutableSpan
        return try unsafe span.withUnsafeMutableBytes { buffer in
            unsafe try fill(buffer, from: socket)
            return unsafe try LaneAnswer(parsing: UnsafeRawBufferPointer(buffer))
        }
    }

    /// Receives as many bytes as the buffer has, within the limit.
    ///
    /// - Throws: `EAGAIN` when they do not come in time, `ECONNRESET` when the stream ends.
    private static func fill(
        _ buffer: UnsafeMutableRawBufferPointer,
        from socket: borrowing Socket
    ) throws(SystemError) {
        let deadline = MonotonicTime.now.advanced(by: limit)
        var count = 0
        while count < buffer.count {
            // Who drips its bytes gains no time.
            let remaining = deadline.remaining
            guard remaining > .zero else { throw SystemError(code: EAGAIN, operation: "recvmsg") }
            try socket.limitBlocking(to: remaining)
            let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[count...])
            switch unsafe try socket.receive(into: rest) {
            case .bytes(let more): count += more
            case .closed: throw SystemError(code: ECONNRESET, operation: "recvmsg")
            }
        }
    }

    // MARK: The side that accepts

    /// What a connecting side presented.
    package enum Arrival: ~Copyable {
        /// A preamble that makes sense; the lane is the caller's to answer.
        case lane(LaneArrival)
        /// Something that was refused, and told so.
        case refused(RefusalReason)
        /// Nothing in time, or the connection ended.
        case silent
    }

    /// Judges a preamble.
    ///
    /// - Parameters:
    ///   - bytes: All 32 bytes of it.
    ///   - socket: What they came on.
    ///   - passed: What came with them.
    /// - Returns: What is to become of the connection.
    static func arrival(
        _ bytes: [UInt8],
        on socket: consuming Socket,
        with passed: consuming FileDescriptor?
    ) -> Arrival {
        guard (try? socket.limitBlocking(to: limit)) != nil else { return .silent }
        do {
            let preamble = unsafe try bytes.span.withUnsafeBytes { buffer throws(RefusalReason) in
                unsafe try LanePreamble(parsing: buffer)
            }
            return .lane(LaneArrival(preamble, on: socket, with: passed))
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
}
