// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import Console
internal import GuestMemory
internal import KVM
internal import LinuxSystem
internal import Machine
internal import MigrationDestination
internal import MigrationWire
internal import Telemetry
internal import Transport

extension MigrationMode: ExpressibleByArgument {}

@main
struct ApusDestination: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apus-destination",
        abstract: "Takes a running guest over from an apus-source.",
        discussion: """
            Builds the machine, has the source pause its guest, loads the state and runs the
            guest at once. Pages it touches are requested first; the others follow in the
            background: postcopy. With --mode hybrid memory is sent in rounds before the pause,
            with --mode precopy all of it before the guest runs here. At the end both sides compare a digest of all memory. Then the guest
            goes on running here until Ctrl-C, SIGTERM or --run-after, and with --listen is
            served to the next destination.

            EXAMPLES:
              apus-destination --connect unix:/tmp/apus.sock --run-after 2s
              apus-destination --connect tcp:source.example:4711 --backing memfd \\
                  --report report.json --listen tcp:0.0.0.0:4712
              apus-destination --connect tcp:source.example:4711 --mode hybrid \\
                  --downtime-limit 50ms

            \(ExitStatus.help)
            """
    )

    @Option(help: "Where the source listens: unix:PATH or tcp:HOST:PORT.")
    var connect: SocketAddress

    @Option(
        help: """
            What carries the page lanes: their sockets, or rings in memory that both processes \
            share, which needs a Unix socket. auto takes rings where it can, and says so.
            """
    )
    var transport = TransportChoice.auto

    @Option(
        help: """
            What guest memory is made of here; the source may differ. hugetlb is a memfd of \
            reserved pages of 2 MiB, which are requested and installed whole.
            """
    )
    var backing = Backing.anonymous

    @Option(
        help: """
            How touches of absent pages are delivered: memory-fault exits of a patched kernel, \
            the same by private memory of some unpatched ones, or userfaultfd. auto takes the \
            first that this host has, and says which.
            """
    )
    var faultPath = FaultPathChoice.auto

    @OptionGroup var output: OutputOptions

    @Option(help: "Serve the next destination here once the guest has arrived; repeatable.")
    var listen: [SocketAddress] = []

    @Option(help: "How long the guest runs here after the migration; for ever unless given.")
    var runAfter: TimeSpan?

    @Option(
        help: """
            What of memory travels before the guest runs here: nothing but its kernel (postcopy), \
            rounds while it runs at the source (hybrid; what they leave comes in postcopy), or everything \
            (precopy; what the rounds leave comes in the pause).
            """
    )
    var mode = MigrationMode.postcopy

    @Option(
        help: "Rounds end when what the guest has written since can be sent in this time."
    )
    var downtimeLimit = TimeSpan(duration: DestinationOptions().downtimeLimit)

    @Option(help: "Most rounds while the guest runs at the source, 1 to 64; then they end, too.")
    var precopyRounds = DestinationOptions().precopyRounds

    @Option(
        help: """
            Most bytes per second of precopy rounds, for example 100M, that in the pause \
            included. As fast as it goes unless given.
            """
    )
    var maxPrecopyBandwidth: ByteCount?

    @Option(help: "Lanes for the background stream, 1 to 64.")
    var streams = 1

    @Option(
        help: """
            Most bytes per second of the background stream, for example 100M; requests are not \
            held back. As fast as it goes unless given.
            """
    )
    var maxPostcopyBandwidth: ByteCount?

    @Option(
        help: """
            Most pages sent ahead of a vCPU that walks through memory with even steps, 0 to 64.
            """
    )
    var prefetch = DestinationOptions().prefetchPages

    @Option(
        help: """
            Most urgent lanes of vCPUs on a path of memory-fault exits, 1 to 64; more vCPUs than \
            that share them.
            """
    )
    var lanes = DestinationOptions().mostVCPULanes

    @Option(help: "Threads that read userfaultfd, each with an urgent lane; 1 to 64.")
    var faultReaders = 1

    @Option(help: "Where Linux's console goes: none, stdio, file:PATH (added to) or unix:PATH.")
    var console = ConsoleTarget.standard

    @OptionGroup var devices: DeviceOptions

    func validate() throws {
        // Urgent lanes are also the vCPUs', so that a kind has room for more than a flag gives.
        guard (1...64).contains(streams) else {
            throw ValidationError("--streams takes 1 to 64")
        }
        guard (1...64).contains(faultReaders) else {
            throw ValidationError("--fault-readers takes 1 to 64")
        }
        guard (1...64).contains(lanes) else {
            throw ValidationError("--lanes takes 1 to 64")
        }
        guard transport != .ring || connect.passesMemory else {
            throw ValidationError(
                "--transport ring needs a Unix socket to hand memory over, and \(connect) is none: "
                    + "connect to unix:PATH on the source's host, or use --transport auto"
            )
        }
        guard (1...64).contains(precopyRounds) else {
            throw ValidationError("--precopy-rounds takes 1 to 64")
        }
        // Less, and a frame of a round takes longer than a peer waits for it.
        let least = WireLimits.leastPrecopyBytesPerSecond
        guard maxPrecopyBandwidth.map({ $0.bytes >= least }) ?? true else {
            throw ValidationError("--max-precopy-bandwidth takes 64K or more")
        }
        guard (0...64).contains(prefetch) else {
            throw ValidationError("--prefetch takes 0 to 64")
        }
        try devices.validate(beside: console)
    }

    func run() throws {
        let console = ConsoleObserver(program: "apus-destination")
        let status = takeOver(console)
        guard status == .success else { throw ExitCode(status.rawValue) }
    }

    private func takeOver(_ console: ConsoleObserver) -> ExitStatus {
        do {
            let outputs = try output.open(console)
            // Before any thread: they inherit the blocked signals.
            let stop = try StopSignals()
            // Before the migration: a port in use is better known now than when it is over.
            let acceptor = try SocketAcceptor(addresses: listen)
            var options = DestinationOptions()
            options.backing = backing
            options.console = self.console
            options.devices = devices.connections
            options.faultPath = faultPath
            options.streams = streams
            options.faultReaders = faultReaders
            options.mostVCPULanes = lanes
            options.prefetchPages = prefetch
            options.mode = mode
            options.downtimeLimit = downtimeLimit.duration
            options.precopyRounds = precopyRounds
            options.precopyBytesPerSecond = maxPrecopyBandwidth.map { UInt64($0.bytes) }
            // Zero is what the protocol says for no limit.
            options.streamBytesPerSecond = maxPostcopyBandwidth.map { UInt64($0.bytes) }
            let destination = Destination(
                connector: SocketConnector(address: connect, transport: transport),
                stop: stop,
                observer: outputs.observer(as: .destination),
                options: options
            )
            let service = GuestService(outputs: outputs, stop: stop)
            return conclude(destination.takeOver(), service, acceptor, console)
        } catch let error as UnusableOutput {
            console.noted("\(error)")
            return .usage
        } catch {
            console.noted("\(error)")
            return .hostUnfit
        }
    }

    private func conclude(
        _ end: DestinationEnd,
        _ service: GuestService,
        _ acceptor: SocketAcceptor,
        _ console: ConsoleObserver
    ) -> ExitStatus {
        switch end {
        case .arrived(let guest, let report):
            service.conclude(report)
            return keepRunning(guest, service, acceptor, report)
        case .unconfirmed(let guest, let error, let report):
            service.conclude(report)
            console.noted("\(error): all pages are here and the guest goes on, unconfirmed")
            let status = keepRunning(guest, service, acceptor, report)
            return status == .success ? .digestMismatch : status
        case .cancelled(let error, let report):
            if let report { service.conclude(report) }
            if case .host = error {
                // Cause and remedy; there may be no source at all.
                console.noted("\(error)")
                return .hostUnfit
            }
            console.noted("\(error); the guest goes on at the source")
            return .migrationCancelled
        case .lost(let error, let ending, let report):
            service.conclude(report)
            console.noted("the guest is lost: \(error)")
            if error.isDigestMismatch { return .digestMismatch }
            if let ending { return service.status(of: ending) }
            return .guestLost
        }
    }

    private func keepRunning(
        _ guest: ArrivedGuest,
        _ service: GuestService,
        _ acceptor: SocketAcceptor,
        _ report: MigrationReport
    ) -> ExitStatus {
        service.serve(
            guest.machine,
            guestIdentity: guest.identity,
            through: acceptor,
            until: runAfter.map { MonotonicTime.now.advanced(by: $0.duration) }
        ) {
            // How the guest went on is part of how it arrived.
            var report = report
            report.takeAftermath(of: guest.machine)
            service.write(report)
        }
    }
}
