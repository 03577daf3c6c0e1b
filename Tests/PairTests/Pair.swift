// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import LinuxSystem
import Machine
import MigrationDestination
import MigrationSource
import Synchronization
import Telemetry
import TestSupport
import Testing
import Transport

/// A source and a destination in one process, with a real guest between them.
final class Pair: Sendable {
    let guest: Machine
    let endpoints: PairEndpoints
    private let sourceBegins: @Sendable () -> Void
    private let sourceNotes: @Sendable (Machine) -> Void
    private let identity = [UInt8](repeating: 7, count: 16)

    /// - Parameters:
    ///   - memoryBytes: Guest memory.
    ///   - vCPUs: How many.
    ///   - backing: The source's.
    ///   - options: What the guest does.
    ///   - fault: What goes wrong on a lane.
    ///   - transport: What page lanes are carried by.
    ///   - sourceBegins: Called first on the thread that serves the guest.
    ///   - sourceNotes: Called when the source has something to say, which it has after a round.
    /// - Throws: What this host lacks.
    init(
        memoryBytes: Int = 16 << 20,
        vCPUs: Int = 2,
        backing: Backing = .anonymous,
        options: WalkerOptions = WalkerOptions(workingSetPages: 64, zeroPercent: 20),
        fault: LaneFault? = nil,
        transport: TransportChoice = .socket,
        sourceBegins: @escaping @Sendable () -> Void = {},
        sourceNotes: @escaping @Sendable (Machine) -> Void = { _ in }
    ) throws {
        self.sourceBegins = sourceBegins
        self.sourceNotes = sourceNotes
        let layout = try GuestLayout.pc(byteCount: memoryBytes)
        guest = try Machine(
            description: Machine.describe(layout: layout, vCPUCount: vCPUs),
            memory: GuestRAM(layout: layout, backing: backing)
        )
        try guest.boot(options)
        try guest.startThreads()
        guest.resume()
        endpoints = try PairEndpoints(fault: fault, transport: transport)
    }

    /// What came of one attempt on both sides.
    struct Outcome: Sendable {
        let source: SourceOutcome
        let destination: DestinationOutcome

        enum SourceOutcome: Equatable, Sendable { case migrated, lost, keptGuest, other }
        enum DestinationOutcome: Equatable, Sendable { case arrived, unconfirmed, cancelled, lost }
    }

    /// Runs one attempt; the source serves until it is over, and for `patience` more.
    func migrate(
        backing: Backing = .anonymous,
        mode: MigrationMode = .postcopy,
        streamBytesPerSecond: UInt64? = nil,
        streams: Int = 1,
        faultReaders: Int = 1,
        patience: Duration = .milliseconds(300),
        limit: Duration = .seconds(5),
        whenArrived: (ArrivedGuest, MigrationReport) throws -> Void = { _, _ in }
    ) throws -> Outcome {
        let sourceEnd = Mutex<Outcome.SourceOutcome>(.other)
        let deadline = FutexWord(0)
        let threads = ThreadGroup()
        var sourceOptions = SourceOptions()
        sourceOptions.setupLimit = limit
        sourceOptions.loadLimit = limit
        let source = SourceRunner(self, sourceOptions, patience)
        try threads.start("test-source") {
            self.sourceBegins()
            let end = source.run()
            sourceEnd.withLock { $0 = end }
            deadline.store(1)
        }
        var options = DestinationOptions()
        options.backing = backing
        options.mode = mode
        options.streamBytesPerSecond = streamBytesPerSecond
        options.faultPath = HostFacts.faultPath
        options.streams = streams
        options.faultReaders = faultReaders
        options.answerLimit = limit
        options.stateLimit = limit
        options.stallLimit = limit
        let destination = Destination(
            connector: endpoints.connector,
            stop: nil,
            observer: SilentObserver(),
            options: options
        )
        var outcome: Outcome.DestinationOutcome
        switch destination.takeOver() {
        case .arrived(let guest, let report):
            outcome = .arrived
            defer { guest.machine.stop() }
            try whenArrived(guest, report)
        case .unconfirmed(let guest, _, _):
            outcome = .unconfirmed
            guest.machine.stop()
        case .cancelled: outcome = .cancelled
        case .lost: outcome = .lost
        }
        threads.joinAll()
        return Outcome(source: sourceEnd.withLock { $0 }, destination: outcome)
    }

    /// Whether the guest makes progress here.
    func guestRunsAtSource() -> Bool {
        let before = guest.heartbeats.map(\.count).reduce(0, +)
        for _ in 0..<20 {
            FutexWord(0).wait(while: 0, timeout: .milliseconds(10))
            if guest.heartbeats.map(\.count).reduce(0, +) > before { return true }
        }
        return false
    }

    private struct SourceRunner: Sendable {
        let pair: Pair
        let options: SourceOptions
        let patience: Duration

        init(_ pair: Pair, _ options: SourceOptions, _ patience: Duration) {
            self.pair = pair
            self.options = options
            self.patience = patience
        }

        func run() -> Outcome.SourceOutcome {
            let source = Source(
                machine: pair.guest,
                guestIdentity: pair.identity,
                acceptor: pair.endpoints.acceptor,
                stop: nil,
                observer: SilentObserver { pair.sourceNotes(pair.guest) },
                options: options
            )
            switch source.serve(until: MonotonicTime.now.advanced(by: patience)) {
            case .migrated: return .migrated
            case .lost: return .lost
            case .deadline: return .keptGuest
            case .stopped, .guestEnded, .failed: return .other
            }
        }
    }
}

/// Tells nobody what it is told.
final class SilentObserver: MigrationObserver {
    private let whenNoted: () -> Void

    init(whenNoted: @escaping () -> Void = {}) { self.whenNoted = whenNoted }

    func phaseChanged(from old: String, to new: String) {}
    func progressed(_ progress: TransferProgress) {}
    func noted(_ text: String) { whenNoted() }
}
