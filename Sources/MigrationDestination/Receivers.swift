// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import MigrationWire
private import Synchronization
internal import Telemetry
internal import Transport

/// Receives one bulk lane and installs what it brings; the body of a thread.
func receiveStream(on lane: any Lane, into memory: IncomingMemory) {
    do {
        var reader = FrameReader(lane)
        var installer = Installer(memory)
        while true {
            let frame = unsafe try reader.next()
            switch unsafe frame.header.kind {
            case .pages:
                unsafe try install(frame, .stream, with: &installer, reader, memory)
            case .endOfStream:
                memory.countStreamEnd()
                return
            case .requests:
                let kind = FrameKind.requests.rawValue
                throw MigrationError.lane(unsafe reader.violation(.kind(kind), in: frame))
            }
        }
    } catch let error as LaneError {
        memory.failure.report(.lane(error))
    } catch let error as MigrationError {
        memory.failure.report(error)
    } catch {
        memory.failure.report(.machine("\(error)"))
    }
}

/// The latencies of the faults that one urgent lane answered.
final class FaultLatencies: Sendable {
    private let histogram = Mutex(LatencyHistogram())

    /// Sets the result; called once, when the lane's thread ends or is asked for a copy.
    func publish(_ latencies: LatencyHistogram) {
        histogram.withLock { $0 = latencies }
    }

    /// What was published last.
    var published: LatencyHistogram { histogram.withLock { $0 } }
}

/// Receives the answers of one urgent lane and installs them; the body of a thread.
///
/// A fault's latency is the time from the read of its userfaultfd event, which the answer brings
/// back as its token, until its page is installed and its thread woken.
func receiveAnswers(
    on lane: any Lane,
    into memory: IncomingMemory,
    latencies: FaultLatencies
) {
    var histogram = LatencyHistogram()
    do {
        var reader = FrameReader(lane)
        var installer = Installer(memory)
        while true {
            let frame = unsafe try reader.next()
            let header = unsafe frame.header
            guard header.kind == .pages else {
                throw LaneError.violation(
                    lane.name,
                    offset: unsafe frame.offset,
                    .kind(header.kind.rawValue)
                )
            }
            unsafe try install(frame, .answer, with: &installer, reader, memory)
            memory.countAnswers(header.entryCount)
            if header.token != 0 {
                let seen = MonotonicTime(nanoseconds: header.token)
                let latency = MonotonicTime.now.nanoseconds(since: seen)
                for _ in 0..<header.entryCount { histogram.record(nanoseconds: latency) }
            }
        }
    } catch let error as LaneError {
        latencies.publish(histogram)
        memory.failure.report(.lane(error))
    } catch let error as MigrationError {
        latencies.publish(histogram)
        memory.failure.report(error)
    } catch {
        memory.failure.report(.machine("\(error)"))
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
