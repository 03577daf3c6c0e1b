// SPDX-License-Identifier: Apache-2.0

import Foundation
import KVM
import ProcessSupport
import TestSupport
import Testing

/// Runs of `apus bench demand-paging`, small ones.
@Suite(
    .serialized,
    .enabled(if: HostFacts.runsMigrationTests, "needs KVM and userfaultfd"),
    .timeLimit(.minutes(3))
)
struct DemandPagingTests {
    private static let tiny = ["-b", "1M", "-v", "2"]
    private static let pages = 512

    @Test(arguments: [
        ["-u", "MINOR", "-s", "shmem"], ["-u", "MISSING", "-s", "shmem"], ["-s", "anonymous"],
        ["-a"], ["-a", "-r", "3"], ["-r", "2"],
    ])
    func `over userfaultfd each page is installed once`(flags: [String]) throws {
        let run: PagingRun = try Workbench.json(Self.tiny + flags)
        #expect(run.fault_path == "userfault")
        #expect(run.vcpus == 2)
        #expect(run.installs == Self.pages)
        #expect(run.userfaults >= Self.pages)
        #expect(run.userfaults - run.userfaults_on_present == Self.pages)
        #expect(run.exits == 0)
    }

    @Test(
        .enabled(if: HostFacts.runsExitTests, "needs memory-fault exits"),
        arguments: HostFacts.exitPaths,
        [["-s", "shmem"], ["-s", "anonymous"], ["-a"], ["--no-prefault"]]
    )
    func `on exits each page is installed once, and nobody sleeps`(
        path: FaultPath,
        flags: [String]
    ) throws {
        let run: PagingRun = try Workbench.json(Self.tiny + flags + ["-w", path.rawValue])
        #expect(run.fault_path == path.rawValue)
        #expect(run.installs == Self.pages)
        #expect(run.exits >= Self.pages)
        #expect(run.exits - run.exits_on_present - run.exits_elsewhere == Self.pages)
        #expect(run.userfaults == 0)
    }

    @Test(
        .enabled(if: HostFacts.runsExitTests, "needs memory-fault exits"),
        arguments: HostFacts.exitPaths
    )
    func `a profile's parts add up to the time of the run`(path: FaultPath) throws {
        let run: PagingRun = try Workbench.json(
            ["-b", "4M", "-v", "1", "--profile", "-w", path.rawValue]
        )
        let cost = try #require(run.page_cost)
        #expect(cost.kvm_run_ns > 0 && cost.install_ns > 0)
        let parts = cost.kvm_run_ns + cost.own_ns + cost.install_ns + cost.set_attributes_ns
        let all = (parts + cost.prefault_ns) * Double(run.installs) / 1e9
        // What is not in them: letting the thread go, and its end.
        #expect(all <= run.paging_s * 1.01)
        #expect(all >= run.paging_s * 0.8)
    }

    @Test(arguments: ["userfault"] + HostFacts.exitPaths.map(\.rawValue))
    func `vCPUs that touch the same pages install each of them once`(path: String) throws {
        let exits = path == "userfault" ? [] : ["-w", path]
        let run: PagingRun = try Workbench.json(Self.tiny + ["-o"] + exits)
        #expect(run.installs == Self.pages)
        // Both vCPUs touched all of it.
        let touches = run.pages_per_s * run.paging_s
        #expect(abs(touches - Double(2 * Self.pages)) < 1)
        #expect(abs(run.pages_per_s - 2 * run.pages_per_s_per_vcpu) < 1)
    }

    @Test func `a delay is part of each page's time`() throws {
        let run: PagingRun = try Workbench.json(["-b", "64K", "-d", "2000"])
        #expect(run.installs == 16)
        #expect(run.paging_s >= 0.032)
    }

    @Test func `a run without JSON tells rates as the kernel's program does`() {
        let (code, text) = Workbench.page(["-b", "64K"])
        #expect(code == 0, "\(text)")
        #expect(text.contains("Overall demand paging rate:\t"))
        #expect(text.contains("Per-vcpu demand paging rate:\t"))
    }

    @Test(
        .enabled(if: !HostFacts.exitPaths.contains(.nowait), "needs a host without nowait"),
        arguments: [["-w"], ["-w", "nowait"], ["--exits"]]
    )
    func `a path that this host lacks is named with the reason`(flags: [String]) {
        let (code, text) = Workbench.page(Self.tiny + flags)
        #expect(code == 69, "\(text)")
        #expect(text.contains("no nowait here: KVM_SET_MEM_FAULT_NOWAIT says"), "\(text)")
    }

    @Test func `a run that takes too long fails and says so`() {
        let (code, text) = Workbench.page(["-b", "16K", "-d", "1000000", "--limit", "1"])
        #expect(code == 1)
        #expect(text.contains("did not end within 1 s"), "\(text)")
    }

    // MARK: Tables

    @Test func `a table has every path of this host at each number of vCPUs`() throws {
        let table: PagingTable = try Workbench.json(
            ["--table", "1,2", "-b", "128K", "--rounds", "2"]
        )
        #expect(table.format_version == 1)
        #expect(table.rounds == 2)
        #expect(table.rows.map(\.vcpus) == [1, 2])
        let paths = ["userfault"] + HostFacts.exitPaths.map(\.rawValue)
        for row in table.rows {
            #expect(row.bytes_per_vcpu == 128 << 10)
            #expect(row.series.map(\.contestant.path) == paths)
            #expect(row.series.allSatisfy { $0.pages_per_s.count == 2 })
            #expect(row.series[0].pages_per_s.contains { $0 != nil })
        }
    }

    @Test func `the kernel's program runs beside ours, and its failures are counted`() throws {
        let folder = try ScratchFolder()
        let program = folder.file("selftest")
        let script = """
            #!/bin/sh
            case "$*" in *-w*) exit 1 ;; esac
            printf 'Overall demand paging rate:\\t1000.500000 pgs/sec\\n'
            """
        try Data(script.utf8).write(to: URL(fileURLWithPath: program))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program)
        let table: PagingTable = try Workbench.json(
            ["--table", "1", "-b", "64K", "--rounds", "2", "--selftest", program]
        )
        let series = try #require(table.rows.first?.series)
        let beside = series.filter { $0.contestant.program == "selftest" }
        #expect(beside.first?.contestant.path == "userfault")
        #expect(beside.first?.pages_per_s == [1000.5, 1000.5])
        if HostFacts.exitPaths.contains(.nowait) {
            #expect(beside.last?.contestant.path == "nowait")
            #expect(beside.last?.pages_per_s == [nil, nil])
        } else {
            #expect(beside.count == 1)
        }
    }

    @Test func `a ratio that falls short or is missing fails the table`() {
        let flags = ["--table", "1", "-b", "64K", "--rounds", "1"]
        let (code, text) = Workbench.page(flags + ["--require", "nowait=1000,attributes=1@2"])
        #expect(code == 1)
        #expect(text.contains("nowait / userfault at 1 vCPUs is "), "\(text)")
        #expect(!text.contains("attributes / userfault at"), "\(text)")

        let met = Workbench.page(flags + ["--require", "nowait=1000@2"])
        #expect(met.code == 0, "\(met.text)")
    }
}
