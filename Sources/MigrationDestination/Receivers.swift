// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import MigrationWire
package import Telemetry
package import Transport

/// Receives one bulk lane and installs what it brings; the body of a thread.
package func receiveStream(on lane: any Lane, into memory: IncomingMemory) {
    standBack()
    do throws(MigrationError) {
        var reader = FrameReader(lane)
        var installer = Installer(memory, wake: .everyone)
        var round: UInt64 = 0
        while true {
            let frame = unsafe try next(&reader)
            switch unsafe frame.header.kind {
            case .pages:
                let arrival: IncomingMemory.Arrival =
                    switch unsafe frame.header.token {
                    case FrameHeader.streamToken: .stream
                    case FrameHeader.prefetchToken: .prefetch
                    case FrameHeader.precopyToken: .round
                    case let token:
                        throw MigrationError.lane(unsafe reader.violation(.token(token), in: frame))
                    }
                if arrival == .round {
                    defer { memory.rounds.finish() }
                    guard memory.rounds.begin() else {
                        throw MigrationError.lane(
                            unsafe reader.violation(.token(FrameHeader.precopyToken), in: frame)
                        )
                    }
                    unsafe try install(frame, arrival, with: &installer, reader, memory)
                } else {
                    unsafe try checkDue(frame, reader, memory, within: overtakingLimit)
                    unsafe try install(frame, arrival, with: &installer, reader, memory)
                }
            case .endOfRound:
                let number = unsafe frame.header.token
                guard memory.rounds.end(number, after: round) else {
                    throw MigrationError.lane(
                        unsafe reader.violation(.round(found: number), in: frame)
                    )
                }
                round = number
            case .endOfStream:
                unsafe try checkDue(frame, reader, memory, within: overtakingLimit)
                memory.countStreamEnd()
                return
            case .requests:
                let kind = FrameKind.requests.rawValue
                throw MigrationError.lane(unsafe reader.violation(.kind(kind), in: frame))
            }
        }
    } catch {
        memory.failure.report(error)
    }
}

/// Receives the answers to a fault reader's requests and installs them; the body of a thread.
///
/// A fault's span is the time from the read of its userfaultfd event, which the answer brings
/// back as its token, until its page is installed and its thread woken.
package func receiveAnswers(
    on lane: any Lane,
    into memory: IncomingMemory,
    ring: FaultSpanRing
) {
    standReady()
    var receiver = AnswerReceiver(lane, into: memory, wake: .everyone)
    let pagesPerRequest = memory.ram.backing.pagesPerHostPage
    var pages = 0
    do throws(MigrationError) {
        while true {
            let isStamped = ring.wantsStages
            let answer = try receiver.receive(isStamped: isStamped)
            var span = FaultSpan(.userfault, seen: MonotonicTime(nanoseconds: answer.token))
            span.ended = .now
            if isStamped {
                span.served = MonotonicTime(nanoseconds: answer.servedNanoseconds)
                span.received = answer.received
                span.installed = span.ended
            }
            pages += answer.pageCount
            while pages >= pagesPerRequest {
                ring.record(span)
                pages -= pagesPerRequest
            }
        }
    } catch {
        memory.failure.report(error)
    }
}

/// Receives and installs answers on one urgent lane; owned by one thread.
struct AnswerReceiver: ~Copyable {
    private let memory: IncomingMemory
    private var reader: FrameReader
    private var installer: Installer

    /// What was answered.
    struct Answer {
        /// When the fault was seen, as its request said.
        let token: UInt64
        /// When the source had made the answer, on its clock.
        let servedNanoseconds: UInt64
        /// Pages in it, or in this part of it.
        let pageCount: Int
        /// When it had been received whole; nil unless it was to be stamped.
        let received: MonotonicTime?
    }

    init(_ lane: any Lane, into memory: IncomingMemory, wake: Installer.Wake) {
        self.memory = memory
        reader = FrameReader(lane)
        installer = Installer(memory, wake: wake)
    }

    /// Waits for the next answer and installs its pages.
    ///
    /// - Parameter isStamped: Whether to note when it was received.
    /// - Returns: What was answered.
    /// - Throws: What is wrong with the lane or the frame, or why it could not be installed.
    mutating func receive(isStamped: Bool) throws(MigrationError) -> Answer {
        let frame = unsafe try next(&reader)
        let header = unsafe frame.header
        guard header.kind == .pages else {
            throw .lane(unsafe reader.violation(.kind(header.kind.rawValue), in: frame))
        }
        let received = isStamped ? MonotonicTime.now : nil
        // Nobody has requested anything before the state was read.
        unsafe try checkDue(frame, reader, memory, within: .zero)
        unsafe try install(frame, .answer, with: &installer, reader, memory)
        memory.countAnswers(pages: header.entryCount)
        return Answer(
            token: header.token,
            servedNanoseconds: header.servedNanoseconds,
            pageCount: header.entryCount,
            received: received
        )
    }
}

private func next(_ reader: inout FrameReader) throws(MigrationError) -> Frame {
    do {
        return unsafe try reader.next()
    } catch {
        throw .lane(error)
    }
}

/// How long the stream may overtake the state, which was sent before it.
private let overtakingLimit = Duration.seconds(5)

/// Waits with what is no part of a round as long as there may be rounds, and refuses it when that
/// takes longer than a time.
///
/// It is sent behind the state, which tells that there are no more, and behind all that is to be
/// discarded: a page must not be discarded that came to stay.
private func checkDue(
    _ frame: Frame,
    _ reader: borrowing FrameReader,
    _ memory: IncomingMemory,
    within limit: Duration
) throws(MigrationError) {
    guard memory.rounds.awaitClosed(within: limit) else {
        let kind = unsafe frame.header.kind.rawValue
        throw .lane(unsafe reader.violation(.early(kind: kind), in: frame))
    }
}

private func install(
    _ frame: Frame,
    _ arrival: IncomingMemory.Arrival,
    with installer: inout Installer,
    _ reader: borrowing FrameReader,
    _ memory: IncomingMemory
) throws(MigrationError) {
    let pages: PageFrame
    do {
        unsafe pages = unsafe try PageFrame(
            header: frame.header,
            body: frame.body,
            guestPageCount: memory.ram.layout.pageCount
        )
    } catch {
        throw .lane(unsafe reader.violation(error, in: frame))
    }
    do {
        unsafe try installer.install(pages, arrival: arrival)
    } catch {
        switch error {
        case .defect(let defect): throw .lane(unsafe reader.violation(defect, in: frame))
        case .system(let error): throw .system(error)
        }
    }
}
