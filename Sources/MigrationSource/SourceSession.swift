// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import LinuxSystem
internal import Machine
internal import MigrationWire
internal import Telemetry
internal import Transport

/// One migration to one destination, from its first message to the end.
///
/// For one thread, which it occupies until the migration has ended either way.
final class SourceSession {
    let machine: Machine
    let lobby: Lobby
    let control: ControlChannel
    let stop: StopSignals?
    let observer: any MigrationObserver
    let options: SourceOptions

    private let key = SessionKey.random()
    let guestIdentity: [UInt8]
    let memory: OutgoingMemory
    private let threads = ThreadGroup()
    private var lanes: [LaneName: any Lane] = [:]
    private(set) var isPaused = false
    var isTracking = false
    private var isPostcopyTold = false
    private(set) var plan = PrecopyPlan()
    private(set) var postcopyBytesPerSecond: UInt64 = 0
    private var totalsAtEnd: OutgoingTotals?

    /// Where the migration stands.
    private(set) var phase = Phase.setup
    private(set) var timeline = Timeline()
    /// The precopy rounds so far.
    var rounds: [PrecopyRound] = []
    /// When the first round began; nil without rounds.
    var precopyBegan: MonotonicTime?
    /// What the guest keeps writing, most often written first.
    var hotPages: [PageIndex] = []
    /// Pages that the destination was told to discard.
    var discardedCount = 0
    /// Digest and counts that the destination reported.
    private(set) var done: WireDone?
    /// Whether both sides read the same clocks.
    private(set) var clocks = ClockRelation.unrelated

    init(
        machine: Machine,
        guestIdentity: [UInt8],
        control: any Lane,
        lobby: Lobby,
        stop: StopSignals?,
        observer: any MigrationObserver,
        options: SourceOptions
    ) throws(SystemError) {
        self.machine = machine
        self.guestIdentity = guestIdentity
        self.control = ControlChannel(over: control)
        self.lobby = lobby
        self.stop = stop
        self.observer = observer
        self.options = options
        memory = try OutgoingMemory(ram: machine.memory)
    }

    /// What has been sent so far, or as the destination was told at the end.
    var totals: OutgoingTotals { totalsAtEnd ?? memory.totals }

    /// Runs the migration to its end.
    ///
    /// - Returns: Nil after success (`phase` is `completed`), otherwise why it ended. Then
    ///   `phase` says what that means: `cancelled`, the guest goes on here; `failed`, it is lost.
    func run() -> MigrationError? {
        var failure: MigrationError?
        do throws(MigrationError) {
            try prepare()
            try precopy()
            try sendFirstPages()
            try switchOver()
            try followUp()
            become(.completed)
        } catch {
            failure = error
        }
        endThreads()
        // A guest that stays has no use for it; for one that has gone it makes no difference.
        if isTracking { try? machine.stopTracking() }
        if let failure {
            // Only now, when no thread reads guest memory any more, may the guest change it; and
            // before the peer is told, which may take its time to listen.
            if isPaused && !phase.isCommitted { machine.resume() }
            if !phase.isCommitted { control.abort(failure) }
            become(phase.isCommitted ? .failed : .cancelled)
        }
        control.shutdown()
        return failure
    }

    // MARK: Phases

    /// Handshake and lanes; the guest runs.
    private func prepare() throws(MigrationError) {
        let first = try control.receive(within: LaneOpening.limit)
        guard case .hello(let hello) = first else {
            throw control.violation(.unexpectedMessage(first.name, expected: "hello"))
        }
        guard hello.pageByteCount == UInt32(GuestPage.byteCount) else {
            throw .refused(
                .pageByteCount(
                    source: GuestPage.byteCount,
                    destination: Int(hello.pageByteCount)
                )
            )
        }
        clocks = Host.isThisBoot(hello.bootIdentity) ? .same : .unrelated
        observer.connected(to: nil, guest: guestIdentity)
        var welcome = WireWelcome()
        welcome.pageByteCount = UInt32(GuestPage.byteCount)
        welcome.bootIdentity = Host.bootIdentity
        welcome.key = key
        welcome.identity = guestIdentity
        welcome.machine = machine.description
        try control.send(.welcome(welcome))

        let prepared = try awaitPrepared()
        try check(prepared)
        plan = PrecopyPlan(prepared)
        postcopyBytesPerSecond = prepared.streamBytesPerSecond
        memory.serve(
            pagesPerRequest: Int(prepared.pagesPerRequest),
            prefetchPages: Int(prepared.prefetchPages),
            bytesPerSecond: prepared.precopyBytesPerSecond
        )
        for (name, lane) in lanes {
            try startThread(for: name, lane)
        }
        rehearseState()
    }

    /// Does once what would take its time when it is done for the first time, with the guest
    /// paused.
    private func rehearseState() {
        var state = WireState()
        state.machine = machine.blankState
        ControlChannel.rehearse(.state(state))
        _ = machine.firstPages(of: state.machine)
    }

    /// Pause, state, commit point; the guest stands still.
    ///
    /// - Throws: Why it ended, or is to end; `phase` tells on which side of the commit point.
    private func switchOver() throws(MigrationError) {
        become(.switchover)
        timeline.mark(\.pauseRequested)
        isPaused = true
        var state = WireState()
        do {
            timeline.pause = try machine.pause(within: options.pauseLimit)
            state.machine = try machine.saveState()
        } catch {
            throw .machine(error.description)
        }
        if let ending = machine.ending { throw .guestEnded(ending.description) }
        timeline.mark(\.stateSaved)
        // Behind the save: KVM may write guest memory for it.
        try settleMemory()
        memory.openForRequests()
        state.heartbeats = machine.heartbeats.map { WireHeartbeats($0) }
        state.times = WireSourceTimes(timeline)
        try control.send(.state(state))
        timeline.mark(\.stateSent)
        memory.capStream(bytesPerSecond: postcopyBytesPerSecond)
        // From here on it waits, and so would its processors. What the destination touches first,
        // when it loads the state and when its vCPUs go on, may be there by then.
        memory.openStream(
            beginningWith: machine.firstPages(of: state.machine, thenHot: hotPages)
        )

        try awaitLoaded()
        let answer = try control.receive(within: options.loadLimit)
        guard case .loaded = answer else {
            throw control.violation(.unexpectedMessage(answer.name, expected: "loaded"))
        }
        try checkPeerIsAlive()
        var run = WireRun()
        run.stateSentNs = timeline.stateSent?.nanoseconds ?? 0
        // The commit point. A send that fails has handed nothing to the kernel: the message is
        // far smaller than any socket buffer. So the guest is still ours then, and only then.
        try control.send(.run(run))
        memory.noteResumed()
        // Told in `followUp`: until the guest runs, nobody may take a processor from it.
        phase.become(.postcopy)
    }

    /// Waits for the destination's word, or for a failure on another lane: the guest stands still,
    /// so neither may take longer to be noticed than it must.
    private func awaitLoaded() throws(MigrationError) {
        let deadline = MonotonicTime.now.advanced(by: options.loadLimit)
        let descriptors: [2 of CInt] = [
            control.rawDescriptor, memory.failure.event.rawDescriptor,
        ]
        while deadline.remaining > .zero {
            let ready: [2 of Bool]
            do {
                ready = try waitUntilReadable(descriptors, timeout: deadline.remaining)
            } catch {
                throw .system(error)
            }
            // The destination's own reason is worth more than that it closed the other lanes.
            if ready[0] { return }
            if ready[1], let error = memory.failure.error { throw error }
        }
        throw .lane(.timedOut(.control))
    }

    /// The last look before the commit point.
    ///
    /// A destination that has died meanwhile, or has broken the protocol on another lane, does not
    /// get the guest. A TCP connection would still take `Run` for a peer that is gone.
    private func checkPeerIsAlive() throws(MigrationError) {
        let ready = try awaitEvent(within: .zero)
        if let error = memory.failure.error { throw error }
        guard ready.control else { return }
        let message = try control.receive(within: LaneOpening.limit)
        throw control.violation(.unexpectedMessage(message.name, expected: "nothing"))
    }

    /// The guest runs at the destination; its memory follows.
    private func followUp() throws(MigrationError) {
        var meter = ProgressMeter(
            pagesTotal: UInt64(memory.ram.layout.pageCount),
            pageBytes: GuestPage.byteCount
        )
        var isWarned = false
        while true {
            let ready = try awaitEvent(within: .milliseconds(100))
            if ready.failure, let error = memory.failure.error { throw error }
            if ready.stop { try handleStop(&isWarned) }
            if ready.connection { lobby.turnAway(.busy) }
            if ready.control, try handleMessage() { return }
            if memory.isSettling { continue }
            tellPostcopy()
            let totals = memory.totals
            var progress = meter.read(
                pagesDone: UInt64(memory.ram.layout.pageCount - memory.unsentCount),
                requestsOutstanding: memory.requestsOutstanding
            )
            progress.bytes = ByteCounts(
                raw: UInt64(totals.bytesRaw),
                wire: UInt64(totals.bytesWire)
            )
            observer.progressed(progress)
        }
    }

    /// Takes one message of the postcopy phase; true when it was the last one.
    private func handleMessage() throws(MigrationError) -> Bool {
        switch try control.receive(within: .seconds(5)) {
        case .running(let running):
            timeline.run = MonotonicTime(nanoseconds: running.runNs)
            return false
        case .done(let done):
            timeline.mark(\.lastPage)
            tellPostcopy()
            self.done = done
            // Digests of nothing are equal, too.
            let pageCount = UInt64(memory.ram.layout.pageCount)
            guard done.pagesArrived == pageCount else { throw control.violation(.field("pages")) }
            // Nothing is left to be sent, and who rests for the cap has pages to count.
            memory.capStream(bytesPerSecond: 0)
            let ours = try coveredTotals()
            // What both sides report; the rest of an answer may still go out after it.
            totalsAtEnd = ours
            var ack = WireDoneAck()
            ack.digest = WireDigest(ours.digest)
            ack.bytesRaw = UInt64(ours.bytesRaw)
            ack.bytesWire = UInt64(ours.bytesWire)
            ack.pagesSent = UInt64(ours.pagesSent)
            ack.rounds = rounds.map { WirePrecopyRound($0) }
            memory.failure.close()
            try control.send(.doneAck(ack))
            timeline.mark(\.done)
            let theirs = PageDigest(done.digest)
            guard theirs == ours.digest else {
                throw .digest(source: ours.digest, destination: theirs)
            }
            // The destination closes first, when it has read the acknowledgement.
            _ = try? control.receive(within: .seconds(2))
            return true
        case let other:
            throw control.violation(
                .unexpectedMessage(other.name, expected: "running or done")
            )
        }
    }

    /// The totals once every page has been counted.
    ///
    /// The destination may have a page before the thread that took it for the stream has counted
    /// it: by the answer to a request that came in between. And pages that came in precopy rounds
    /// are counted last.
    private func coveredTotals() throws(MigrationError) -> OutgoingTotals {
        var deadline = MonotonicTime.now
        var covered = -1
        while true {
            let totals = memory.totals
            if totals.pagesCovered == memory.ram.layout.pageCount { return totals }
            if totals.pagesCovered != covered {
                covered = totals.pagesCovered
                deadline = MonotonicTime.now.advanced(by: .seconds(5))
            }
            guard MonotonicTime.now < deadline else {
                let unsent = memory.ram.layout.pageCount - totals.pagesCovered
                throw control.violation(.unsentPages(unsent))
            }
            yieldProcessor()
        }
    }

    // MARK: Lanes

    /// Where destinations connect, and what carries the page lanes of this one.
    var transport: String {
        let isRing = lanes.values.contains { $0.carrier == .ring }
        return isRing ? "\(lobby.acceptor.place), ring" : lobby.acceptor.place
    }

    private func awaitPrepared() throws(MigrationError) -> WirePrepared {
        let deadline = MonotonicTime.now.advanced(by: options.setupLimit)
        while MonotonicTime.now < deadline {
            let ready = try awaitEvent(within: .milliseconds(500))
            if ready.stop, stop?.take() != nil { throw .stopped }
            if ready.ended { throw .guestEnded("before the pause") }
            try acceptLane()
            if ready.control {
                switch try control.receive(within: LaneOpening.limit) {
                case .prepared(let prepared):
                    lobby.turnAway(.busy)
                    return prepared
                case let other:
                    throw control.violation(
                        .unexpectedMessage(other.name, expected: "prepared")
                    )
                }
            }
        }
        throw .lane(.timedOut(.control))
    }

    private func acceptLane() throws(MigrationError) {
        guard let arrival = try lobby.next() else { return }
        switch consume arrival {
        case .lane(let lane):
            let preamble = lane.preamble
            guard preamble.lane != .control else {
                lane.refuse(.busy)
                return
            }
            guard preamble.key == key, lanes[preamble.lane] == nil else {
                observer.noted("a connection was refused: \(RefusalReason.sessionKey)")
                lane.refuse(.refused)
                return
            }
            lanes[preamble.lane] = try lane.accept(through: lobby.acceptor)
        case .refused(let reason):
            observer.noted("a connection was refused: \(reason)")
        case .silent:
            observer.noted("a connection was dropped: it said nothing")
        }
    }

    private func check(_ prepared: WirePrepared) throws(MigrationError) {
        let layout = machine.memory.layout
        guard prepared.pageByteCount == UInt32(GuestPage.byteCount) else {
            throw .refused(
                .pageByteCount(
                    source: GuestPage.byteCount,
                    destination: Int(prepared.pageByteCount)
                )
            )
        }
        let theirs = try? GuestLayout(prepared.memory)
        guard theirs == layout else {
            throw .refused(
                .memoryLayout(
                    source: layout.description,
                    destination: theirs?.description ?? "impossible"
                )
            )
        }
        guard prepared.vcpuCount == machine.description.vcpuCount else {
            throw .refused(
                .vCPUCount(
                    source: Int(machine.description.vcpuCount),
                    destination: Int(prepared.vcpuCount)
                )
            )
        }
        guard prepared.urgentLanes > 0, prepared.bulkLanes > 0,
            isOpen(prepared.urgentLanes, of: LaneName.urgent),
            isOpen(prepared.bulkLanes, of: LaneName.bulk),
            UInt64(prepared.urgentLanes) + UInt64(prepared.bulkLanes) == UInt64(lanes.count)
        else { throw control.violation(.field("lanes")) }
        let pagesPerRequest = Int(prepared.pagesPerRequest)
        guard pagesPerRequest == 1 || pagesPerRequest == WireLimits.pagesPerRequest,
            layout.isAligned(to: pagesPerRequest * GuestPage.byteCount)
        else { throw control.violation(.field("pages_per_request")) }
        guard prepared.prefetchPages <= UInt32(WireLimits.entriesPerFrame) else {
            throw control.violation(.field("prefetch_pages"))
        }
        guard prepared.precopyRounds < UInt32(WireLimits.precopyRounds) else {
            throw control.violation(.field("precopy_rounds"))
        }
        let cap = prepared.precopyBytesPerSecond
        guard cap == 0 || cap >= WireLimits.leastPrecopyBytesPerSecond else {
            throw control.violation(.field("precopy_bytes_per_second"))
        }
    }

    /// Whether so many lanes of a kind are open, numbered from zero.
    private func isOpen(_ count: UInt32, of kind: (UInt8) -> LaneName) -> Bool {
        count <= UInt32(WireLimits.lanesOfAKind)
            && (0..<UInt8(count)).allSatisfy { lanes[kind($0)] != nil }
    }

    private func startThread(
        for name: LaneName,
        _ lane: any Lane
    ) throws(MigrationError) {
        let memory = memory
        do {
            switch name {
            case .control: return
            case .urgent(let index):
                try threads.start("src-urgent-\(index)") {
                    serveUrgentLane(lane, index: Int(index), of: memory)
                }
            case .bulk(let index):
                try threads.start("src-stream-\(index)") {
                    streamMemory(memory, on: lane, index: Int(index))
                }
            }
        } catch {
            throw .system(error)
        }
    }

    private func endThreads() {
        memory.failure.close()
        memory.stopStream()
        for lane in lanes.values { lane.shutdown() }
        threads.joinAll()
    }

    // MARK: Waiting

    struct Ready {
        var control: Bool
        var failure: Bool
        var ended: Bool
        var stop: Bool
        var connection: Bool
    }

    func awaitEvent(within limit: Duration) throws(MigrationError) -> Ready {
        let fixed = [
            control.rawDescriptor, memory.failure.event.rawDescriptor,
            machine.ended.rawDescriptor, stop?.rawDescriptor ?? -1,
        ]
        do {
            let ready = try waitUntilReadable(fixed + lobby.rawDescriptors, timeout: limit)
            return Ready(
                control: ready[0],
                failure: ready[1],
                ended: ready[2],
                stop: ready[3],
                connection: ready[4...].contains(true)
            )
        } catch {
            throw .system(error)
        }
    }

    private func handleStop(_ isWarned: inout Bool) throws(MigrationError) {
        guard stop?.take() != nil else { return }
        guard !isWarned else { throw .stopped }
        isWarned = true
        observer.noted(
            "the guest runs at the destination and needs its memory from here: "
                + "going on; a second signal ends this process and loses the guest"
        )
    }

    func become(_ next: Phase) {
        tellPostcopy()
        let old = phase
        phase.become(next)
        observer.phaseChanged(from: old.rawValue, to: next.rawValue)
    }

    /// Makes up for what was not told at the commit point.
    private func tellPostcopy() {
        guard phase == .postcopy, !isPostcopyTold else { return }
        isPostcopyTold = true
        observer.phaseChanged(from: Phase.switchover.rawValue, to: phase.rawValue)
    }
}

extension WireDone {
    /// Pages installed, however they came; nil for a count that nobody can have.
    fileprivate var pagesArrived: UInt64? {
        let (some, isAbsurd) = pagesRequested.addingReportingOverflow(pagesStreamed)
        let (more, isStillAbsurd) = some.addingReportingOverflow(pagesPrefetched)
        let (all, isMoreAbsurd) = more.addingReportingOverflow(pagesPrecopied)
        return isAbsurd || isStillAbsurd || isMoreAbsurd ? nil : all
    }
}
