// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem
package import Machine
package import MigrationWire
package import Telemetry
package import Transport

/// How serving a guest ended.
package enum SourceEnd {
    /// The guest runs at a destination now, and both sides agree on its memory.
    case migrated(MigrationReport)
    /// The guest belongs to a destination, and did not get there whole.
    case lost(MigrationError, MigrationReport)
    /// A signal came; the guest was here.
    case stopped
    /// The time was over; the guest was here.
    case deadline
    /// The guest ended by itself.
    case guestEnded
    /// Listening failed.
    case failed(MigrationError)
}

/// Serves a running guest to the destinations that connect, until one has taken it.
///
/// For one thread, which it occupies.
package final class Source {
    private let machine: Machine
    private let guestIdentity: [UInt8]
    private let lobby: Lobby
    private let stop: StopSignals?
    private let observer: any MigrationObserver
    private let options: SourceOptions

    /// - Parameters:
    ///   - machine: Its vCPU threads run.
    ///   - guestIdentity: 16 bytes, the same through all migrations of the guest.
    ///   - acceptor: Where destinations connect.
    ///   - stop: Signals that end it; nil where nobody sends them.
    ///   - observer: Who is told how it goes.
    ///   - options: How it serves.
    package init(
        machine: Machine,
        guestIdentity: [UInt8],
        acceptor: any LaneAcceptor,
        stop: StopSignals?,
        observer: any MigrationObserver,
        options: SourceOptions = SourceOptions()
    ) {
        self.machine = machine
        self.guestIdentity = guestIdentity
        lobby = Lobby(of: acceptor)
        self.stop = stop
        self.observer = observer
        self.options = options
    }

    /// Serves until the guest has gone, ended, a signal or the deadline came.
    ///
    /// A migration that ends before its commit point is noted, and the next destination may try.
    /// One that has begun is not cut off by the deadline.
    package func serve(until deadline: MonotonicTime? = nil) -> SourceEnd {
        while true {
            let now = MonotonicTime.now
            if let deadline, now >= deadline { return .deadline }
            let limit = deadline.map { Duration.nanoseconds($0.nanoseconds(since: now)) }
            do throws(MigrationError) {
                let waiting = [machine.ended.rawDescriptor, stop?.rawDescriptor ?? -1]
                let soonest = [limit, lobby.patience].compactMap(\.self).min()
                let ready = try poll(waiting + lobby.rawDescriptors, soonest)
                if ready[0] { return .guestEnded }
                if ready[1], stop?.take() != nil { return .stopped }
                if let end = try greetNext() { return end }
            } catch {
                return .failed(error)
            }
        }
    }

    private func poll(
        _ descriptors: [CInt],
        _ limit: Duration?
    ) throws(MigrationError) -> [Bool] {
        do {
            return try waitUntilReadable(descriptors, timeout: limit)
        } catch {
            throw .system(error)
        }
    }

    /// Takes the next connection that says what it is; nil when the guest is still here afterwards.
    ///
    /// This host may be out of descriptors or memory for a moment. That is no reason to end a
    /// guest that runs: the destination may try again.
    private func greetNext() throws(MigrationError) -> SourceEnd? {
        do {
            guard let arrival = try lobby.next() else { return nil }
            return try greet(arrival)
        } catch {
            observer.noted("\(error); the guest goes on here")
            let ready = try poll([stop?.rawDescriptor ?? -1], .milliseconds(200))
            return ready[0] && stop?.take() != nil ? .stopped : nil
        }
    }

    /// Looks who connected; nil when the guest is still here afterwards.
    private func greet(
        _ arrival: consuming LaneOpening.Arrival
    ) throws(MigrationError) -> SourceEnd? {
        switch consume arrival {
        case .lane(let lane):
            guard lane.preamble.lane == .control else {
                lane.refuse(.refused)
                observer.noted("a connection was refused: no migration is under way")
                return nil
            }
            return try migrate(over: lane.accept(through: lobby.acceptor))
        case .refused(let reason):
            observer.noted("a connection was refused: \(reason)")
        case .silent:
            observer.noted("a connection was dropped: it said nothing")
        }
        return nil
    }

    private func migrate(over control: any Lane) throws(MigrationError) -> SourceEnd? {
        let session: SourceSession
        do {
            session = try SourceSession(
                machine: machine,
                guestIdentity: guestIdentity,
                control: control,
                lobby: lobby,
                stop: stop,
                observer: observer,
                options: options
            )
        } catch {
            throw .system(error)
        }
        let error = session.run()
        let report = MigrationReport(of: session, machine: machine, error: error)
        // After what else is said of it.
        defer { observer.ended(MigrationEnding(report)) }
        guard let error else { return .migrated(report) }
        if session.phase == .failed { return .lost(error, report) }
        if case .stopped = error { return .stopped }
        if machine.ending != nil { return .guestEnded }
        observer.noted("\(error); the guest goes on here")
        return nil
    }
}
