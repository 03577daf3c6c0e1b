// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import Console
internal import GuestMemory
internal import LinuxSystem
internal import Machine
internal import Telemetry
internal import Transport

@main
struct ApusSource: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apus-source",
        abstract: "Runs a guest under KVM and serves it to the destination that takes it over.",
        discussion: """
            The guest runs here until an apus-destination connects, takes over its state and
            pulls its memory: by postcopy, or by precopy first, as the destination wants. Then this process ends with exit code 0. Up to the commit
            point a migration that fails leaves the guest running here, and another destination
            may try. Ctrl-C and SIGTERM end guest and process; while a destination still needs
            memory from here, only a second one does.

            EXAMPLES:
              apus-source --memory 512M --vcpus 2 --listen unix:/tmp/apus.sock
              apus-source --memory 4G --listen tcp:0.0.0.0:4711 --guest-order random
              apus-source --guest linux --kernel bzImage --initrd initrd.cpio --console stdio \\
                  --cmdline 'console=ttyS0 panic=-1' --listen unix:/tmp/apus.sock

            \(ExitStatus.help)
            """
    )

    enum Order: String, CaseIterable, ExpressibleByArgument {
        case sequential, strided, random
    }

    @Option(help: "The guest: walker rewrites and verifies its memory for ever; linux boots Linux.")
    var guest = GuestKind.walker

    @Option(help: "Linux's kernel: a bzImage, or an ELF vmlinux.")
    var kernel: String?

    @Option(help: "Linux's initial RAM disk.")
    var initrd: String?

    @Option(help: "Linux's command line.")
    var cmdline = "console=ttyS0 panic=-1"

    @Option(help: "Where Linux's console goes: none, stdio, file:PATH (added to) or unix:PATH.")
    var console = ConsoleTarget.standard

    @Flag(name: .customLong("rng"), help: "Gives Linux a virtio source of random bytes.")
    var hasEntropy = false

    @OptionGroup var devices: DeviceOptions

    @Option(help: "Guest memory, for example 512M or 4G.")
    var memory = ByteCount(bytes: 512 << 20)

    @Option(name: .customLong("vcpus"), help: "Virtual processors, 1 to 64.")
    var vCPUs = 2

    @Option(help: "What guest memory is made of; hugetlb is a memfd of reserved 2 MiB pages.")
    var backing = Backing.anonymous

    @Option(help: "unix:PATH or tcp:HOST:PORT; may be given several times.")
    var listen: [SocketAddress]

    @Option(help: "Order in which the walker visits its pages.")
    var guestOrder = Order.sequential

    @Option(help: "Pages between two visits in strided order.")
    var guestStride = 17

    @Option(help: "Memory the walker rewrites, for example 64M; 0 idles. All unless given.")
    var guestWorkingSet: ByteCount?

    @Option(help: "Percent of a page that is random, which does not compress.")
    var guestRandom = 50

    @Option(help: "Percent of pages that stay zero.")
    var guestZero = 0

    @Option(help: "Time between two heartbeats of a vCPU that makes progress.")
    var heartbeat = TimeSpan(duration: .milliseconds(5))

    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard !listen.isEmpty else {
            throw ValidationError("give --listen unix:PATH or --listen tcp:HOST:PORT")
        }
        guard (1...Machine.mostVCPUs).contains(vCPUs) else {
            throw ValidationError("--vcpus takes 1 to \(Machine.mostVCPUs)")
        }
        guard memory.bytes > 0, memory.bytes % GuestPage.byteCount == 0 else {
            throw ValidationError("--memory takes whole pages of \(GuestPage.byteCount) bytes")
        }
        guard (guest == .linux) == (kernel != nil) else {
            throw ValidationError(
                guest == .linux
                    ? "--guest linux needs a kernel: give --kernel bzImage or --kernel vmlinux"
                    : "--kernel is for --guest linux"
            )
        }
        guard guest == .linux || initrd == nil else {
            throw ValidationError("--initrd is for --guest linux")
        }
        guard guest == .linux || (!hasEntropy && devices.isEmpty) else {
            throw ValidationError("--rng, --disk, --net and --virtio-console are for --guest linux")
        }
        try devices.validate(beside: console)
        do {
            try walkerOptions.validate()
        } catch {
            throw ValidationError("\(error)")
        }
    }

    func run() throws {
        let console = ConsoleObserver(program: "apus-source")
        let status = serve(console)
        guard status == .success else { throw ExitCode(status.rawValue) }
    }

    /// Reads the files of a Linux guest, and serves it or the walker.
    private func serve(_ console: ConsoleObserver) -> ExitStatus {
        do {
            let outputs = try output.open(console)
            let image = try kernel.map { kernel throws(MachineError) in
                try LinuxImage(kernel: kernel, initrd: initrd, commandLine: cmdline)
            }
            return serve(image, outputs, console)
        } catch {
            console.noted("\(error)")
            return .usage
        }
    }

    private func serve(
        _ image: LinuxImage?,
        _ outputs: MigrationOutputs,
        _ console: ConsoleObserver
    ) -> ExitStatus {
        do {
            // Before any thread: they inherit the blocked signals.
            let stop = try StopSignals()
            let acceptor = try SocketAcceptor(addresses: listen)
            let layout = try GuestLayout.pc(byteCount: memory.bytes)
            if let obstacle = GuestRAM.obstacle(to: layout, backing) {
                console.noted(obstacle)
                return .hostUnfit
            }
            var devices = devices.connections
            devices.hasEntropy = hasEntropy
            let machine = try Machine(
                description: Machine.describe(
                    guest,
                    layout: layout,
                    vCPUCount: vCPUs,
                    devices: devices
                ),
                memory: GuestRAM(layout: layout, backing: backing),
                console: self.console,
                devices: devices
            )
            if let image { try machine.boot(image) } else { try machine.boot(walkerOptions) }
            try machine.startThreads()
            machine.resume()
            let service = GuestService(outputs: outputs, stop: stop)
            return service.serve(machine, guestIdentity: randomIdentity(), through: acceptor)
        } catch {
            console.noted("\(error)")
            switch error as? MachineError {
            case .guestMemory, .boot, .devices: return .usage
            default: return .hostUnfit
            }
        }
    }

    private var walkerOptions: WalkerOptions {
        let order: WalkerOptions.Order =
            switch guestOrder {
            case .sequential: .sequential
            case .strided: .strided(pages: guestStride)
            case .random: .random
            }
        return WalkerOptions(
            order: order,
            workingSetPages: guestWorkingSet.map { $0.bytes / GuestPage.byteCount / vCPUs },
            randomPercent: guestRandom,
            zeroPercent: guestZero,
            heartbeatInterval: heartbeat.duration,
            seed: UInt64.random(in: .min ... .max)
        )
    }
}

private func randomIdentity() -> [UInt8] {
    (0..<16).map { _ in UInt8.random(in: .min ... .max) }
}
