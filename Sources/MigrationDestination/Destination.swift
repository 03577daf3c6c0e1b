// SPDX-License-Identifier: Apache-2.0

internal import GuestMemory
internal import KVM
package import LinuxSystem
package import Machine
package import MigrationWire
package import Telemetry
package import Transport
internal import Userfault

/// How taking a guest over ended.
package enum DestinationEnd {
    /// The guest runs here, and both sides agree on its memory.
    case arrived(ArrivedGuest, MigrationReport)
    /// The guest runs here with all its memory, but the source did not confirm the digest.
    case unconfirmed(ArrivedGuest, MigrationError, MigrationReport)
    /// Ended before the commit point: the guest goes on at the source.
    case cancelled(MigrationError, MigrationReport?)
    /// Ended after the commit point: the guest is lost, by itself if it says how. Its vCPUs no
    /// longer run.
    case lost(MigrationError, GuestEnding?, MigrationReport)
}

/// A guest that has been taken over.
package struct ArrivedGuest {
    /// It runs.
    package let machine: Machine
    /// 16 bytes, the same through all migrations of the guest.
    package let identity: [UInt8]
}

/// Takes a guest over from the source it connects to.
///
/// For one thread, which it occupies until the migration has ended either way.
package final class Destination {
    private let connector: any LaneConnector
    private let stop: StopSignals?
    private let observer: any MigrationObserver
    private let options: DestinationOptions

    /// Where faults are told, and whose they are: a vCPU's, or those of userfaultfd.
    private var rings: [(ring: FaultSpanRing, vCPU: Int?)] = []
    private var account = FaultAccount(clocks: .unrelated)
    private let threads = ThreadGroup()
    private let loader = StateLoader()
    private let loaders = ThreadGroup()
    private var lanes: [any Lane] = []
    private var machine: Machine?
    private var memory: IncomingMemory?
    private var identity: [UInt8] = []
    private var totalsAtEnd: IncomingTotals?
    private var confirmation: WireDoneAck?
    private var sourceHeartbeats: [Heartbeat] = []
    private var precopyBegan: MonotonicTime?
    /// Changes of phase that nobody has been told of yet.
    private var untold: [(old: Phase, new: Phase)] = []

    private var phase = Phase.setup
    private var timeline = Timeline()
    private var clocks = ClockRelation.unrelated

    /// - Parameters:
    ///   - connector: Leads to the source.
    ///   - stop: Signals that end it; nil where nobody sends them.
    ///   - observer: Who is told how it goes.
    ///   - options: How it takes over.
    package init(
        connector: any LaneConnector,
        stop: StopSignals?,
        observer: any MigrationObserver,
        options: DestinationOptions
    ) {
        self.connector = connector
        self.stop = stop
        self.observer = observer
        self.options = options
    }

    /// Runs the migration to its end.
    ///
    /// To be called once.
    package func takeOver() -> DestinationEnd {
        let end = migrate()
        observer.ended(MigrationEnding(end))
        return end
    }

    private func migrate() -> DestinationEnd {
        var channel: ControlChannel?
        do throws(MigrationError) {
            let lane = try LaneOpening.open(.control, key: .none, through: connector)
            let control = ControlChannel(over: lane)
            channel = control
            let machine = try prepare(over: control)
            try switchOver(machine, over: control)
            try followUp(machine, over: control)
            endThreads(control)
            become(.completed)
            let report = reportArrival(of: machine, error: nil)
            return .arrived(ArrivedGuest(machine: machine, identity: identity), report)
        } catch {
            return end(after: error, channel)
        }
    }

    // MARK: Phases

    /// Everything that can be made ready while the guest still runs at the source.
    private func prepare(over control: ControlChannel) throws(MigrationError) -> Machine {
        var hello = WireHello()
        hello.pageByteCount = UInt32(GuestPage.byteCount)
        hello.bootIdentity = Host.bootIdentity
        try control.send(.hello(hello))
        let first = try control.receive(
            within: options.answerLimit,
            atMost: WireLimits.welcomeByteCount
        )
        guard case .welcome(let welcome) = first else {
            throw control.violation(.unexpectedMessage(first.name, expected: "welcome"))
        }
        let (key, layout) = try check(welcome, control)
        clocks = Host.isThisBoot(welcome.bootIdentity) ? .same : .unrelated
        account = FaultAccount(clocks: clocks)
        identity = welcome.identity
        observer.connected(to: connector.peer, guest: identity)

        let userfault = try openUserfault()
        let ram = try reserve(layout)
        let machine = try build(welcome.machine, ram)
        let memory = try IncomingMemory(
            of: ram,
            exits: machine.faultExits,
            userfault: userfault,
            streams: options.streams,
            vCPUs: Int(machine.description.vcpuCount)
        )
        self.memory = memory
        let urgentLanes = try openLanes(key, memory, machine)
        let loader = loader
        try start("dst-load", in: loaders) { loader.run(machine) }
        rehearseState(of: machine)

        var prepared = WirePrepared()
        prepared.pageByteCount = UInt32(GuestPage.byteCount)
        prepared.memory = layout.wire
        prepared.vcpuCount = machine.description.vcpuCount
        prepared.urgentLanes = UInt32(urgentLanes)
        prepared.bulkLanes = UInt32(options.streams)
        let pagesPerRequest = options.backing.pagesPerHostPage
        prepared.pagesPerRequest = UInt32(pagesPerRequest)
        // A huge page is ahead of its vCPU by itself.
        prepared.prefetchPages = pagesPerRequest == 1 ? UInt32(options.prefetchPages) : 0
        prepared.streamBytesPerSecond = options.streamBytesPerSecond ?? 0
        switch options.mode {
        case .postcopy:
            let cap = prepared.streamBytesPerSecond
            // Of a huge page there would only be parts, which cannot be made present.
            if pagesPerRequest == 1, cap == 0 || cap >= WireLimits.leastPrecopyBytesPerSecond {
                prepared.kernelAhead = true
                prepared.precopyBytesPerSecond = cap
                memory.rounds.open(most: 1)
            }
            become(.switchover)
        case .hybrid, .precopy:
            prepared.precopyRounds = UInt32(options.precopyRounds)
            prepared.downtimeLimitUs = options.downtimeLimit.wholeNanoseconds / 1000
            prepared.allBeforeRun = options.mode == .precopy
            prepared.precopyBytesPerSecond = options.precopyBytesPerSecond ?? 0
            // Without a round the stream begins behind the state, which may be read after it.
            if options.precopyRounds > 0 {
                // One more in the pause.
                let most = options.precopyRounds + (options.mode == .precopy ? 1 : 0)
                memory.rounds.open(most: most)
            }
            precopyBegan = .now
            become(.precopy)
        }
        try control.send(.prepared(prepared))
        return machine
    }

    /// Does once what would take its time when it is done for the first time, with the guest
    /// paused.
    private func rehearseState(of machine: Machine) {
        var state = WireState()
        state.machine = machine.blankState
        ControlChannel.rehearse(.state(state))
        try? machine.check(state.machine)
    }

    /// The guest stands still: its state comes, and it goes on here.
    private func switchOver(
        _ machine: Machine,
        over control: ControlChannel
    ) throws(MigrationError) {
        let count = Int(machine.description.vcpuCount)
        let state = try receiveState(vCPUCount: count, over: control)
        timeline.mark(\.stateReceived)
        guard state.heartbeats.count == count else {
            throw control.violation(.field("heartbeats"))
        }
        try load(state.machine)
        sourceHeartbeats = state.heartbeats.map { Heartbeat($0) }
        if clocks == .same { machine.continueHeartbeats(from: sourceHeartbeats) }
        timeline.mark(\.stateLoaded)
        // A last look before the source commits: a lane that broke the rules while the state was
        // being loaded would otherwise pass unseen where every page had come before.
        if let error = memory?.failure.error { throw error }
        try control.send(.loaded(WireLoaded()))
        let order = try control.receive(within: options.answerLimit)
        guard case .run(let run) = order else {
            throw control.violation(.unexpectedMessage(order.name, expected: "run"))
        }
        // The commit point: from here on the guest is this side's.
        machine.resume()
        enter(.postcopy)
        timeline.take(state.times, stateSent: run.stateSentNs)
        if clocks == .same { timeline.endSendingAtArrival() }
        timeline.run = firstRun(of: machine)
        account.beginSeries(at: timeline.run ?? .now)
        var running = WireRunning()
        running.runNs = timeline.run?.nanoseconds ?? 0
        try control.send(.running(running))
    }

    /// Receives precopy rounds and what is to be discarded of them, if there are any, and then the
    /// state of the guest, which stands still.
    private func receiveState(
        vCPUCount: Int,
        over control: ControlChannel
    ) throws(MigrationError) -> WireState {
        while true {
            try awaitMessage(control, within: options.stateLimit)
            let message = try control.receive(
                within: options.answerLimit,
                atMost: WireLimits.stateByteCount(vCPUCount: vCPUCount)
            )
            switch message {
            case .state(let state):
                memory?.complete.clear()
                memory?.rounds.close()
                if phase == .precopy { enter(.switchover) }
                return state
            case .discard(let list) where mayDiscard:
                try discard(list, control)
                if list.wantsAnswer { try control.send(.discarded(WireDiscarded())) }
            case let other:
                throw control.violation(.unexpectedMessage(other.name, expected: "state"))
            }
        }
    }

    private var mayDiscard: Bool {
        options.mode != .precopy && memory?.rounds.areOpen == true
    }

    private func discard(
        _ list: WireDiscard,
        _ control: ControlChannel
    ) throws(MigrationError) {
        guard let memory else { preconditionFailure("a discard without memory") }
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: GuestPage.byteCount,
            alignment: GuestPage.byteCount
        )
        defer { unsafe buffer.deallocate() }
        do throws(InstallFailure) {
            for range in try runs(of: list, memory) {
                unsafe try memory.discard(range, through: buffer)
            }
        } catch {
            switch error {
            case .defect(let defect): throw control.violation(defect)
            case .system(let error): throw .system(error)
            }
        }
    }

    private func runs(
        of list: WireDiscard,
        _ memory: IncomingMemory
    ) throws(InstallFailure) -> [PageRange] {
        do {
            return try list.runs(pageCount: memory.pages.pageCount)
        } catch {
            throw .defect(error)
        }
    }

    /// Tells the source that a round has been received whole.
    private func acknowledgeRound(_ control: ControlChannel) throws(MigrationError) {
        guard let memory else { return }
        let rounds = memory.rounds
        rounds.ended.clear()
        // The guest's kernel, which runs first; no more of it, whatever a source has sent.
        if options.mode == .postcopy {
            machine?.prefault(memory.present.prefix(WireLimits.kernelPages))
        }
        var received = WireRoundReceived()
        received.number = UInt32(clamping: rounds.receivedCount)
        try control.send(.roundReceived(received))
    }

    /// Has the state loaded, on a thread of its own.
    ///
    /// KVM may touch guest memory while it does, and so sleep in userfaultfd for a page that a
    /// dying source never sends. Then somebody has to be awake who ends that.
    private func load(_ state: WireMachineState) throws(MigrationError) {
        loader.load(state)
        let deadline = MonotonicTime.now.advanced(by: options.answerLimit)
        while true {
            if let result = loader.result(within: .milliseconds(50)) {
                guard case .failure(let error) = result else { return }
                throw .machine(error.description)
            }
            if let error = memory?.failure.error { throw error }
            if let stop, stop.take() != nil { throw .stopped }
            guard MonotonicTime.now < deadline else {
                throw .machine("the state was not loaded in time")
            }
        }
    }

    /// The guest runs; its memory follows.
    ///
    /// Ends when all of it is here and confirmed.
    private func followUp(
        _ machine: Machine,
        over control: ControlChannel
    ) throws(MigrationError) {
        guard let memory else { preconditionFailure("postcopy without memory") }
        try awaitPages(machine, memory, control)
        // With all its memory here the guest need not settle.
        tellPhases()
        timeline.firstFault = memory.totals.firstFault
        // What came before the guest ran was there when it did.
        timeline.lastPage = memory.totals.lastPage.map { max($0, timeline.run ?? $0) }
        // From here on lanes may end: nothing more is expected on them.
        memory.failure.close()
        let totals = memory.totals
        // What both sides report; a duplicate may still come in after it.
        totalsAtEnd = totals
        var done = WireDone()
        done.digest = WireDigest(totals.digest)
        done.pagesRequested = UInt64(totals.requested)
        done.pagesStreamed = UInt64(totals.streamed)
        done.pagesPrefetched = UInt64(totals.prefetched)
        done.pagesZero = UInt64(totals.zero)
        done.pagesDuplicate = UInt64(totals.duplicate)
        done.pagesPrecopied = UInt64(totals.precopied)
        try control.send(.done(done))
        // The source reads all pages once more that came in rounds: a second for each GiB.
        let limit = options.answerLimit + .seconds(totals.precopied >> 18)
        let last = try control.receive(within: limit)
        guard case .doneAck(let ack) = last else {
            throw control.violation(.unexpectedMessage(last.name, expected: "done_ack"))
        }
        confirmation = ack
        timeline.mark(\.done)
        let theirs = PageDigest(ack.digest)
        guard theirs == totals.digest else {
            throw .digest(source: theirs, destination: totals.digest)
        }
    }

    private func awaitPages(
        _ machine: Machine,
        _ memory: IncomingMemory,
        _ control: ControlChannel
    ) throws(MigrationError) {
        var meter = ProgressMeter(
            pagesTotal: UInt64(memory.pages.pageCount),
            pageBytes: GuestPage.byteCount
        )
        var watch = StallWatch(limit: options.stallLimit)
        var isWarned = false
        // The event is only a reason to look: in precopy it may all have been here before.
        while memory.pages.remainingCount > 0 {
            let ready = try poll(
                [
                    memory.complete.rawDescriptor, memory.failure.event.rawDescriptor,
                    control.rawDescriptor, machine.ended.rawDescriptor,
                    stop?.rawDescriptor ?? -1,
                ],
                .milliseconds(100)
            )
            if let error = memory.failure.error { throw error }
            if ready[3] {
                throw .guestEnded(machine.ending?.description ?? "for an unknown reason")
            }
            if ready[0] {
                // Readable for nothing, it must not keep this thread from all else.
                memory.complete.clear()
                if memory.pages.remainingCount == 0 { return }
            }
            if ready[2] {
                let message = try control.receive(within: .seconds(5))
                throw control.violation(.unexpectedMessage(message.name, expected: "nothing"))
            }
            if ready[4] { try handleStop(&isWarned) }
            drainRings()
            let totals = memory.totals
            if watch.isStalled(at: totals.installed) {
                if memory.isStreamOver {
                    throw control.violation(.missingPages(memory.pages.remainingCount))
                }
                // A source that is alive but stopped may go on: its guest is not given up.
                observer.noted("no page has arrived for \(options.stallLimit); still waiting")
                watch = StallWatch(limit: options.stallLimit)
            }
            // Whoever is told may take processors that the vCPUs need.
            if let run = timeline.run, .now < run.advanced(by: Phase.settling) { continue }
            tellPhases()
            var progress = meter.read(
                pagesDone: UInt64(totals.installed),
                requestsOutstanding: max(0, totals.requestsSent - totals.requestsAnswered)
            )
            progress.pages = PageCounts(totals, of: memory.pages.pageCount)
            observer.progressed(progress)
        }
    }

    // MARK: Preparing

    private func check(
        _ welcome: WireWelcome,
        _ control: ControlChannel
    ) throws(MigrationError) -> (SessionKey, GuestLayout) {
        guard welcome.pageByteCount == UInt32(GuestPage.byteCount) else {
            throw .refused(
                .pageByteCount(
                    source: Int(welcome.pageByteCount),
                    destination: GuestPage.byteCount
                )
            )
        }
        guard let key = welcome.key else {
            throw control.violation(.field("session_key"))
        }
        guard welcome.identity.count == 16 else {
            throw control.violation(.field("guest_identity"))
        }
        do {
            return (key, try GuestLayout(welcome.machine.memory))
        } catch {
            throw .refused(.machine("memory layout is impossible: \(error)"))
        }
    }

    private func reserve(_ layout: GuestLayout) throws(MigrationError) -> GuestRAM {
        if let obstacle = GuestRAM.obstacle(to: layout, options.backing) { throw .host(obstacle) }
        do {
            return try GuestRAM(layout: layout, backing: options.backing)
        } catch {
            throw .system(error)
        }
    }

    private func openUserfault() throws(MigrationError) -> Userfaultfd {
        do {
            return try Userfaultfd(for: Userfaultfd.Mode(for: options.backing))
        } catch {
            throw .host(error.description)
        }
    }

    private func build(
        _ description: WireMachineDescription,
        _ ram: GuestRAM
    ) throws(MigrationError) -> Machine {
        do {
            let machine = try Machine(
                description: description,
                memory: ram,
                faultPath: options.faultPath,
                console: options.console,
                devices: options.devices
            )
            self.machine = machine
            try machine.faultExits.arm()
            let exits = machine.faultExits
            observer.noted("fault path \(exits.path.rawValue): \(exits.reason)")
            return machine
        } catch let error as MachineError {
            if case .faultPath = error { throw .host(error.description) }
            if case .kvmUnavailable = error { throw .host(error.description) }
            throw .machine(error.description)
        } catch {
            throw .machine("\(error)")
        }
    }

    /// Opens all page lanes and starts what serves them, the vCPUs' threads among them.
    ///
    /// Urgent lanes are first those of the fault readers, then, where vCPUs serve their own
    /// faults, those of the vCPUs.
    ///
    /// - Returns: How many urgent lanes there are.
    private func openLanes(
        _ key: SessionKey,
        _ memory: IncomingMemory,
        _ machine: Machine
    ) throws(MigrationError) -> Int {
        let readers = options.faultReaders
        var servers: [VCPUFaultServer] = []
        var vCPULanes: [any Lane] = []
        switch machine.faultExits.path {
        case .nowait, .attributes:
            let vCPUs = Int(machine.description.vcpuCount)
            for index in 0..<min(vCPUs, options.mostVCPULanes) {
                vCPULanes.append(try open(.urgent(UInt8(readers + index)), key))
            }
            servers = VCPUFaultServer.make(for: vCPUs, memory, on: vCPULanes) { makeRing(for: $0) }
        case .userfault: break
        }
        do {
            try machine.startThreads(memoryFaultServers: servers)
        } catch {
            throw .machine(error.description)
        }
        let vCPUs = machine.threadIDs
        for index in 0..<UInt8(readers) {
            let lane = try open(.urgent(index), key)
            let ring = makeRing(for: nil)
            try start("dst-fault-\(index)") {
                readFaults(into: memory, requestingOn: lane) { vCPUs.firstIndex(of: $0) }
            }
            try start("dst-answer-\(index)") {
                receiveAnswers(on: lane, into: memory, ring: ring)
            }
        }
        for index in 0..<UInt8(options.streams) {
            let lane = try open(.bulk(index), key)
            try start("dst-bulk-\(index)") { receiveStream(on: lane, into: memory) }
        }
        let rings = lanes.count { $0.carrier == .ring }
        observer.noted("page lanes: \(rings) over rings, \(lanes.count - rings) over sockets")
        return readers + vCPULanes.count
    }

    private func makeRing(for vCPU: Int?) -> FaultSpanRing {
        let ring = FaultSpanRing()
        rings.append((ring, vCPU))
        return ring
    }

    private func open(_ name: LaneName, _ key: SessionKey) throws(MigrationError) -> any Lane {
        let lane = try LaneOpening.open(name, key: key, through: connector)
        lanes.append(lane)
        return lane
    }

    private func start(
        _ name: String,
        in group: ThreadGroup? = nil,
        _ body: @escaping @Sendable () -> Void
    ) throws(MigrationError) {
        do {
            try (group ?? threads).start(name, body: body)
        } catch {
            throw .system(error)
        }
    }

    // MARK: Waiting

    private func poll(
        _ descriptors: [CInt],
        _ limit: Duration
    ) throws(MigrationError) -> [Bool] {
        do {
            return try waitUntilReadable(descriptors, timeout: limit)
        } catch {
            throw .system(error)
        }
    }

    /// Waits for the next message, a failure on another lane, or a signal.
    private func awaitMessage(
        _ control: ControlChannel,
        within limit: Duration
    ) throws(MigrationError) {
        let failure = memory?.failure
        var deadline = MonotonicTime.now.advanced(by: limit)
        var arrivals = -1
        var meter = memory.map {
            ProgressMeter(
                pagesTotal: UInt64($0.pages.pageCount),
                pageBytes: GuestPage.byteCount,
                pagesDone: UInt64($0.totals.installed)
            )
        }
        while MonotonicTime.now < deadline {
            let ready = try poll(
                [
                    control.rawDescriptor, failure?.event.rawDescriptor ?? -1,
                    stop?.rawDescriptor ?? -1, memory?.rounds.ended.rawDescriptor ?? -1,
                ],
                min(deadline.remaining, .milliseconds(500))
            )
            // As long as rounds go on, the source is not late.
            if let count = memory?.rounds.frameCount, count != arrivals {
                arrivals = count
                deadline = MonotonicTime.now.advanced(by: limit)
            }
            if ready[3] { try acknowledgeRound(control) }
            if phase == .precopy, !ready[0], let installed = memory?.totals.installed,
                let progress = meter?.read(pagesDone: UInt64(installed), requestsOutstanding: 0)
            {
                observer.progressed(progress)
            }
            // First, or a source that never falls silent could not be given up.
            if ready[2], stop?.take() != nil { throw .stopped }
            // The source's own reason is worth more than that it closed the other lanes.
            if ready[0] { return }
            if let error = failure?.error { throw error }
        }
        throw .lane(.timedOut(.control))
    }

    /// When the first vCPU entered KVM_RUN, a moment after the resume; nil when that takes long,
    /// which is a pity for the numbers and nothing else.
    private func firstRun(of machine: Machine) -> MonotonicTime? {
        let deadline = MonotonicTime.now.advanced(by: .seconds(1))
        while MonotonicTime.now < deadline {
            if let instant = machine.firstRun { return instant }
            yieldProcessor()
        }
        return nil
    }

    private func handleStop(_ isWarned: inout Bool) throws(MigrationError) {
        guard stop?.take() != nil else { return }
        guard !isWarned else { throw .stopped }
        isWarned = true
        observer.noted(
            "the guest runs here and its memory is still on the way: going on; "
                + "a second signal ends this process and loses the guest"
        )
    }

    // MARK: Ending

    private func end(after error: MigrationError, _ control: ControlChannel?) -> DestinationEnd {
        guard phase.isCommitted, let machine else {
            control?.abort(error)
            endThreads(control)
            machine?.stop()
            become(.cancelled)
            return .cancelled(error, self.machine.map { report($0, error: error) })
        }
        let isWhole = memory?.pages.remainingCount == 0
        if isWhole, !error.isDigestMismatch, machine.ending == nil {
            // Every page is here. The guest is not given up for a missing confirmation.
            endThreads(control)
            become(.completed)
            let report = reportArrival(of: machine, error: error)
            let guest = ArrivedGuest(machine: machine, identity: identity)
            return .unconfirmed(guest, error, report)
        }
        // Told to stop first: unregistering wakes vCPUs whose page will never come, and none of
        // them may run with what is there instead.
        let ending = error.isGuestEnded ? machine.ending : nil
        machine.stop { endThreads(control) }
        become(.failed)
        return .lost(error, ending, report(machine, error: error))
    }

    /// Ends all threads of the migration.
    ///
    /// The vCPUs have been told to stop before, unless every page is present: unregistering wakes
    /// whoever still waits for one.
    private func endThreads(_ control: ControlChannel?) {
        memory?.failure.close()
        memory?.stopReaders.signal()
        memory?.pages.abandon()
        memory?.rounds.close()
        for lane in lanes { lane.shutdown() }
        threads.joinAll()
        try? machine?.faultExits.disarm()
        try? memory?.unregister()
        loader.end()
        loaders.joinAll()
        control?.shutdown()
    }

    private func become(_ next: Phase) {
        enter(next)
        tellPhases()
    }

    /// Changes the phase and tells nobody yet: the guest stands still.
    private func enter(_ next: Phase) {
        untold.append((phase, next))
        phase.become(next)
    }

    private func tellPhases() {
        for change in untold {
            observer.phaseChanged(from: change.old.rawValue, to: change.new.rawValue)
        }
        untold = []
    }

    /// What is to be said of a guest that goes on here.
    ///
    /// Its gaps up to now are in it; those from now on are none of this migration's.
    private func reportArrival(of machine: Machine, error: MigrationError?) -> MigrationReport {
        defer { machine.resetGaps() }
        return report(machine, error: error)
    }

    private func report(_ machine: Machine, error: MigrationError?) -> MigrationReport {
        drainRings()
        let lostCount = rings.map(\.ring.lostCount).reduce(0, +)
        if lostCount > 0 {
            observer.noted("the times of \(lostCount) faults came too fast to keep")
        }
        return MigrationReport(
            machine: machine,
            identity: identity,
            transport: lanes.contains { $0.carrier == .ring }
                ? "\(connector.peer), ring" : connector.peer,
            phase: phase,
            error: error,
            timeline: timeline,
            precopyBegan: precopyBegan,
            clocks: clocks,
            totals: totalsAtEnd ?? memory?.totals,
            confirmation: confirmation,
            account: account,
            faults: memory?.faults.totals,
            blockTimes: memory?.blockTimes,
            heartbeatsBefore: sourceHeartbeats
        )
    }
}

extension Destination {
    private func drainRings() {
        for (ring, vCPU) in rings { account.take(from: ring, vCPU: vCPU) }
    }
}

/// Notices when nothing arrives any more.
private struct StallWatch {
    let limit: Duration
    private var count = -1
    private var since = MonotonicTime.now

    init(limit: Duration) { self.limit = limit }

    mutating func isStalled(at count: Int) -> Bool {
        let now = MonotonicTime.now
        if count != self.count {
            self.count = count
            since = now
        }
        return now.nanoseconds(since: since) > limit.wholeNanoseconds
    }
}
