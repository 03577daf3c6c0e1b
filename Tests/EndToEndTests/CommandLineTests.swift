// SPDX-License-Identifier: Apache-2.0

import Foundation
import ProcessSupport
import Testing

/// What the executables make of their flags.
///
/// Needs no KVM.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct CommandLineTests {
    @Test(arguments: [ApusProcess.Program.source, .destination])
    func `help teaches flags, examples and exit codes`(program: ApusProcess.Program) throws {
        let bench = try Bench()
        let process = try bench.start(program, ["--help"])
        #expect(try process.waitForEnd(within: 10) == .exited(0))
        let flags =
            switch program {
            case .source: ["--memory", "--vcpus", "--backing", "--listen", "--guest-order"]
            case .destination:
                [
                    "--connect", "--backing", "--run-after", "--streams", "--listen",
                    "--prefetch", "--max-postcopy-bandwidth", "--lanes", "--mode",
                    "--downtime-limit", "--precopy-rounds", "--max-precopy-bandwidth",
                ]
            }
        for text in flags + [
            "--report", "--metrics", "--events", "fd:n", "EXAMPLES:", "EXIT CODES:", "commit point",
            "--disk", "--net", "--virtio-console",
        ] {
            #expect(process.output.contains(text), "\(text)")
        }
    }

    @Test(arguments: [
        [], ["--listen", "nonsense"], ["--listen", "unix:"], ["--listen", "tcp:127.0.0.1:99999"],
        ["--listen", "unix:/" + String(repeating: "x", count: 120)], ["--memory", "0"],
        ["--memory", "-1"], ["--memory", "lots"], ["--memory", "1K"], ["--memory", "16777217"],
        ["--memory", "64K"],
        ["--vcpus", "0"], ["--vcpus", "65"], ["--vcpus", "-1"], ["--guest-random", "101"],
        ["--guest-random", "-1"], ["--guest-zero", "101"], ["--guest-zero", "-1"],
        ["--heartbeat", "0s"], ["--heartbeat", "61s"], ["--guest-order", "sideways"],
        ["--guest-order", "strided", "--guest-stride", "0"],
        ["--guest-order", "strided", "--guest-stride", "-3"], ["--guest", "linux"],
        ["--kernel", "/dev/null"], ["--initrd", "/dev/null"], ["--backing", "disk"],
        ["--no-such-flag"], ["stray"], ["--guest-working-set", "-1M"], ["--rng"],
        ["--disk", "/dev/null"], ["--net", "tap=x"], ["--virtio-console", "none"],
        ["--disk", "a,rw"], ["--net", "eth0"],
        ["--guest", "linux", "--kernel", "/dev/null", "--virtio-console", "stdio"],
    ])
    func `a source with wrong flags says so and exits with 64`(flags: [String]) throws {
        let bench = try Bench()
        let address = bench.folder.address()
        let needsListen = !flags.isEmpty && !flags.contains("--listen")
        let process = try bench.start(
            .source,
            (needsListen ? ["--listen", address] : []) + flags
        )
        #expect(try process.waitForEnd(within: 10) == .exited(64), "\(process.log)")
        #expect(!process.log.isEmpty)
    }

    @Test(arguments: [
        [], ["--connect", "nonsense"], ["--connect", "tcp:host"], ["--streams", "0"],
        ["--mode", "both"], ["--precopy-rounds", "0"], ["--precopy-rounds", "65"],
        ["--downtime-limit", "soon"], ["--max-precopy-bandwidth", "1K"],
        ["--streams", "65"], ["--lanes", "0"], ["--lanes", "65"], ["--prefetch", "65"],
        ["--max-postcopy-bandwidth", "fast"],
        ["--fault-readers", "0"], ["--fault-readers", "65"],
        ["--run-after", "-1s"], ["--run-after", "soon"], ["--backing", "disk"],
        ["--listen", "nonsense"], ["--no-such-flag"], ["stray"], ["--transport", "pigeon"],
        ["--disk", ",direct"], ["--net", "tap=x,mac=1"], ["--virtio-console", "tty"],
        ["--connect", "tcp:127.0.0.1:1", "--transport", "ring"], ["--virtio-console", "stdio"],
    ])
    func `a destination with wrong flags says so and exits with 64`(flags: [String]) throws {
        let bench = try Bench()
        let needsConnect = !flags.isEmpty && !flags.contains("--connect")
        let process = try bench.start(
            .destination,
            (needsConnect ? ["--connect", "unix:/nowhere"] : []) + flags
        )
        #expect(try process.waitForEnd(within: 10) == .exited(64), "\(process.log)")
        #expect(!process.log.isEmpty)
    }

    @Test(arguments: [
        ("", "neither a bzImage nor an ELF vmlinux"),
        ("\u{7F}ELF, or so it says", "a malformed ELF file: it is not of 64 bits"),
    ])
    func `a kernel that is none is refused in one line`(contents: String, text: String) throws {
        let bench = try Bench()
        let kernel = bench.folder.file("kernel")
        try contents.write(toFile: kernel, atomically: false, encoding: .utf8)
        try expectRefusal(bench, ["--kernel", kernel], text)
    }

    @Test func `a kernel and an initrd that are not there are refused in one line`() throws {
        let bench = try Bench()
        try expectRefusal(bench, ["--kernel", "/nowhere/bzImage"], "open /nowhere/bzImage: ")
        let kernel = bench.folder.file("kernel")
        try "".write(toFile: kernel, atomically: false, encoding: .utf8)
        try expectRefusal(
            bench,
            ["--kernel", kernel, "--initrd", "/nowhere/initrd"],
            "open /nowhere/initrd: "
        )
    }

    private func expectRefusal(_ bench: Bench, _ flags: [String], _ text: String) throws {
        let process = try bench.start(
            .source,
            ["--listen", bench.folder.address(), "--guest", "linux"] + flags
        )
        #expect(try process.waitForEnd(within: 10) == .exited(64), "\(process.log)")
        #expect(process.log.contains(text), "\(process.log)")
        #expect(process.log.split(separator: "\n").count == 1, "\(process.log)")
    }

    @Test func `rings over TCP are refused with cause and remedy`() throws {
        let bench = try Bench()
        let process = try bench.start(
            .destination,
            ["--connect", "tcp:127.0.0.1:1", "--transport", "ring"]
        )
        #expect(try process.waitForEnd(within: 10) == .exited(64), "\(process.log)")
        for text in ["tcp:127.0.0.1:1", "needs a Unix socket", "--transport auto"] {
            #expect(process.log.contains(text), "\(text)")
        }
    }

    @Test(arguments: [
        ("--report", "/nowhere/report.json", "create its folder"),
        ("--report", "/tmp", "name a file in it"),
        ("--metrics", "/nowhere/apus.prom", "create its folder"),
        ("--metrics", "/dev/null", "no regular file"), ("--events", "/nowhere/events", "folder"),
        ("--events", "/tmp", "name a file"), ("--events", "fd:99", "3>FILE"),
        ("--events", "fd:", "--events"), ("--events", "fd:-1", "--events"),
        ("--events", "fd:x", "--events"),
    ])
    func `what cannot be written is said before anything begins, with 64`(
        flag: String,
        value: String,
        remedy: String
    ) {
        for (program, address) in [
            ("apus-source", "--listen"), ("apus-destination", "--connect"),
        ] {
            let (code, text) = Command.run(
                [Command.pathOfProduct(program), address, "unix:/nowhere/socket", flag, value]
            )
            #expect(code == 64, "\(text)")
            #expect(text.contains(flag) && text.contains(remedy), "\(text)")
        }
    }
}
