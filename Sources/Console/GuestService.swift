// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem
package import Machine
internal import MigrationSource
internal import MigrationWire
package import Telemetry
package import Transport

/// Runs a guest and serves it to the next destination, and tells a person how that ends.
///
/// What apus-source does from the start, and apus-destination once its guest has arrived.
package struct GuestService {
    private let outputs: MigrationOutputs
    private let stop: StopSignals

    private var console: ConsoleObserver { outputs.console }

    /// - Parameters:
    ///   - outputs: Who is told.
    ///   - stop: Signals that end it.
    package init(outputs: MigrationOutputs, stop: StopSignals) {
        self.outputs = outputs
        self.stop = stop
    }

    /// Serves until the guest has gone, ended, a signal or the deadline came; then the machine
    /// no longer runs.
    ///
    /// - Parameters:
    ///   - machine: Its vCPU threads run.
    ///   - guestIdentity: 16 bytes, the same through all migrations of the guest.
    ///   - acceptor: Where destinations connect.
    ///   - deadline: The end, if the guest is to run no longer.
    ///   - ended: Called when the guest has ended here and was not moved on.
    /// - Returns: The exit code.
    package func serve(
        _ machine: Machine,
        guestIdentity: [UInt8],
        through acceptor: SocketAcceptor,
        until deadline: MonotonicTime? = nil,
        whenEnded ended: () -> Void = {}
    ) -> ExitStatus {
        defer { machine.stop() }
        for address in acceptor.addresses { console.line("listening on \(address)") }
        let source = Source(
            machine: machine,
            guestIdentity: guestIdentity,
            acceptor: acceptor,
            stop: stop,
            observer: outputs.observer(as: .source)
        )
        switch source.serve(until: deadline) {
        case .migrated(let report):
            conclude(report)
            return .success
        case .lost(let error, let report):
            conclude(report)
            console.noted("the guest is lost: \(error)")
            return error.isDigestMismatch ? .digestMismatch : .guestLost
        case .stopped, .deadline:
            ended()
            noteStop(of: machine)
            return .success
        case .guestEnded:
            ended()
            return status(ofEnded: machine)
        case .failed(let error):
            console.noted("\(error)")
            return .hostUnfit
        }
    }

    private func noteStop(of machine: Machine) {
        let statistics = machine.statistics
        let work = statistics.isEmpty ? "" : " after \(statistics.iterations) verified pages"
        console.noted("the guest is stopped" + work)
    }

    /// Prints the summary of a migration on standard output and writes its report.
    package func conclude(_ report: MigrationReport) {
        print(Summary(report).text, terminator: "")
        write(report)
    }

    /// Writes a report, where one is wanted.
    package func write(_ report: MigrationReport) {
        guard let reportPath = outputs.reportPath else { return }
        do {
            try ReportFile.write(report, to: reportPath)
        } catch {
            console.noted("\(error)")
        }
    }

    /// Says how the guest ended by itself.
    private func status(ofEnded machine: Machine) -> ExitStatus {
        console.noted("the guest ended: \(machine.ending?.description ?? "reason unknown")")
        return machine.ending.map { status(of: $0) } ?? .guestEnded
    }

    /// The exit code for a guest that ended by itself.
    package func status(of ending: GuestEnding) -> ExitStatus {
        switch ending {
        case .corruption: .guestCorrupted
        case .poweredOff: .success
        case .reset: .guestReset
        case .shutdown, .unexpectedExit, .failed: .guestEnded
        }
    }
}
