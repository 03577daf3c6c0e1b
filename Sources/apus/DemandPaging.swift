// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import Console
internal import GuestMemory
internal import KVM
internal import LinuxSystem

/// `apus bench demand-paging`: a single run, or a table of them.
struct DemandPaging: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "How fast vCPUs page memory in: over userfaultfd, or on memory-fault exits.",
        discussion: """
            A bare-metal guest writes one word into every page of its memory, each vCPU in a \
            region of its own. All pages are absent at first, their contents lie ready in this \
            process. Each touch is served by a thread that reads userfaultfd, or with -w by the \
            vCPU's own thread, which leaves KVM_RUN for it. Rates are of the paging time alone: \
            from the moment when all threads are let go to the end of the last vCPU. Memory is \
            checked afterwards.

            The flags are those of the kernel's demand_paging_test. -w, --exits and --json may \
            stand alone: -w is -w nowait, --json writes to standard output.

            --table 1,2,4 measures all paths that this host has, in turns (userfault, nowait, \
            attributes; then the next round), each run in a process of its own, and prints \
            medians, and the median of the rounds' ratios to userfault. Runs that fail or do not \
            end in time are counted, and are part of neither. Compare within one table only.

            EXAMPLES:
              apus bench demand-paging -b 64M -u MINOR -s shmem -a -v 4 -r 4
              apus bench demand-paging -b 64M -u MINOR -s shmem -a -v 4 -r 4 -w
              apus bench demand-paging -s anonymous -v 2 -w attributes --json
              apus bench demand-paging --table 1,2,4,8,16 --require nowait=2.2@1,nowait=1.3
            """
    )

    @Option(
        name: [.customShort("b"), .customLong("bytes")],
        help: "Memory of each vCPU. (default: 64M; in a table 16M in all, but 4M each at least)"
    )
    var bytes: ByteCount?

    @Option(
        name: [.customShort("u"), .customLong("mode")],
        help: """
            MISSING installs with UFFDIO_COPY, MINOR with UFFDIO_CONTINUE. \
            (default: MINOR, for anonymous memory MISSING)
            """
    )
    var mode: PagingMode?

    @Option(
        name: [.customShort("s"), .customLong("backing")],
        help: "Guest memory: private, a memfd, or a memfd of huge pages of 2 MiB."
    )
    var backing = PagingBacking.shmem

    @Flag(
        name: [.customShort("a"), .customLong("single-userfault")],
        help: "One userfaultfd for all memory, instead of one for each vCPU's."
    )
    var isSingleUserfault = false

    @Option(
        name: [.customShort("v"), .customLong("vcpus")],
        help: "Virtual processors, 1 to 1024."
    )
    var vCPUs = 1

    @Option(
        name: [.customShort("r"), .customLong("readers")],
        help: "Threads that read each userfaultfd, 1 to 1024."
    )
    var readers = 1

    @Option(
        name: [.customShort("w"), .customLong("exits")],
        help: ArgumentHelp(
            """
            Serve memory-fault exits: with KVM_CAP_MEM_FAULT_NOWAIT if -w stands alone, or \
            with private memory of unpatched kernels.
            """,
            valueName: "nowait|attributes"
        )
    )
    var exits: ExitPath?

    @Flag(
        name: [.customShort("o"), .customLong("overlap")],
        help: "All vCPUs touch all memory; there is one userfaultfd then."
    )
    var overlaps = false

    @Option(
        name: [.customShort("d"), .customLong("delay")],
        help: ArgumentHelp("Sleep so long for each page, 0 to 1000000.", valueName: "µs")
    )
    var delay: UInt32 = 0

    @Flag(help: "Let the vCPU exit a second time, instead of mapping its page before it goes on.")
    var noPrefault = false

    @Flag(help: "Of exits: tell where the time of a page goes, by a clock around each system call.")
    var profile = false

    @Option(help: ArgumentHelp("When a run that has not ended has failed.", valueName: "seconds"))
    var limit = 60

    @Option(help: ArgumentHelp("Measure all paths at so many vCPUs each.", valueName: "1,2,4"))
    var table: VCPUList?

    @Option(help: "In a table, how often each path is run.")
    var rounds = 5

    @Option(
        help: ArgumentHelp(
            "In a table, also run this demand_paging_test in turns with ours.",
            valueName: "program"
        )
    )
    var selftest: String?

    @Option(
        help: ArgumentHelp(
            """
            Of a table: exit with 1 where a ratio falls short. nowait and attributes are ratios \
            to userfault, selftest is ours to the selftest's on every path; @ is for so many \
            vCPUs only, and wins over those without.
            """,
            valueName: "name=ratio[@vcpus],…"
        )
    )
    var require: RequiredRatios?

    @Option(
        help: ArgumentHelp(
            """
            Write JSON, one line; to standard output, instead of the text, if --json stands \
            alone.
            """,
            valueName: "file"
        )
    )
    var json: JSONOutput?

    func validate() throws {
        guard (1...PagingGuest.mostVCPUs).contains(vCPUs) else {
            throw ValidationError("-v takes 1 to \(PagingGuest.mostVCPUs)")
        }
        guard (1...1024).contains(readers) else { throw ValidationError("-r takes 1 to 1024") }
        guard delay <= 1_000_000 else { throw ValidationError("-d takes 0 to 1000000") }
        guard (1...86_400).contains(limit) else {
            throw ValidationError("--limit takes 1 to 86400")
        }
        guard (1...1000).contains(rounds) else { throw ValidationError("--rounds takes 1 to 1000") }
        if mode == .minor, backing == .anonymous {
            throw ValidationError(
                "-u MINOR needs memory that can be mapped twice: -s shmem or -s hugetlb"
            )
        }
        if table == nil, selftest != nil || require != nil {
            throw ValidationError("--selftest and --require belong to --table")
        }
        if profile, table != nil || exits == nil {
            throw ValidationError("--profile belongs to -w, and to a single run")
        }
        if table != nil, exits != nil {
            throw ValidationError("--table measures every path itself: leave -w out")
        }
        for count in table?.counts ?? [vCPUs] { try validate(bytes: bytes(vCPUs: count), count) }
    }

    func run() throws {
        try WorkbenchStatus.concluding { () throws(BenchFailure) in
            if let table { try measureTable(table) } else { try measureOnce() }
        }
    }

    private func measureOnce() throws(BenchFailure) {
        let result = try PagingRun.measure(parameters(vCPUs: vCPUs))
        try json?.write(result)
        if json?.isStandardOutput != true { print(result.text) }
    }

    private func measureTable(_ list: VCPUList) throws(BenchFailure) {
        let printer = PagingTablePrinter(isSilent: json?.isStandardOutput == true)
        let plan = PagingTable.Plan(
            experiments: list.counts.map { parameters(vCPUs: $0) },
            rounds: rounds,
            selftest: selftest
        )
        let table = try PagingTable.measure(plan, printer)
        try json?.write(table)
        let shortfalls = require?.shortfalls(in: table) ?? []
        guard shortfalls.isEmpty else {
            throw .failed("falls short: " + shortfalls.joined(separator: "; "))
        }
    }

    private func validate(bytes: Int, _ count: Int) throws {
        let page = backing.pageByteCount
        guard bytes > 0, bytes % page == 0 else {
            throw ValidationError("-b takes whole pages of \(page) bytes")
        }
        guard bytes <= PagingGuest.mostBytes / count else {
            throw ValidationError("-b takes \(PagingGuest.mostBytes >> 30)G in all at the most")
        }
    }

    private func bytes(vCPUs: Int) -> Int {
        if let bytes { return bytes.bytes }
        if table == nil { return 64 << 20 }
        // With less for each, the starts and ends of 16 threads are most of what is measured.
        let page = max(1 << 20, backing.pageByteCount)
        return max(4 << 20, (16 << 20) / vCPUs / page * page)
    }

    private func parameters(vCPUs: Int) -> PagingParameters {
        PagingParameters(
            bytesPerVCPU: bytes(vCPUs: vCPUs),
            mode: mode ?? (backing == .anonymous ? .missing : .minor),
            backing: backing,
            path: exits?.faultPath ?? .userfault,
            vCPUs: vCPUs,
            isSingleUserfault: isSingleUserfault || overlaps,
            readers: readers,
            overlaps: overlaps,
            delayMicroseconds: delay,
            prefaults: !noPrefault,
            isProfiled: profile,
            limitSeconds: limit
        )
    }
}
