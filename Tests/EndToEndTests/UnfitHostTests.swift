// SPDX-License-Identifier: Apache-2.0

import Foundation
import ProcessSupport
import Testing

extension EndToEndTests {
    /// What a host may lack: one line with cause and remedy, and exit code 69.
    @Suite struct UnfitHosts {
        private func expectUnfit(
            _ process: ApusProcess,
            naming words: String...,
            location: SourceLocation = #_sourceLocation
        ) throws {
            let end = try process.waitForEnd(within: 20)
            #expect(end == .exited(69), "\(process.log)", sourceLocation: location)
            let lines = process.log.split(separator: "\n").filter { !$0.hasPrefix("phase: ") }
            #expect(lines.count == 1, "\(process.log)", sourceLocation: location)
            for word in words {
                #expect(process.log.contains(word), "\(process.log)", sourceLocation: location)
            }
        }

        @Test(.enabled(if: Unsharing.isPossible, "needs root"))
        func `without KVM both say what to do`() throws {
            let bench = try Bench()
            let source = try bench.start(
                .source,
                ["--memory", "16M", "--listen", bench.folder.address()],
                through: Unsharing.withoutDevices
            )
            try expectUnfit(source, naming: "apus-source: ", "/dev/kvm")
            let fit = try bench.source()
            let destination = try bench.destination(
                to: fit.address(),
                through: Unsharing.withoutKVM(bench.folder)
            )
            try expectUnfit(destination, naming: "apus-destination: ", "/dev/kvm")
            let heir = try bench.destination(to: fit.address(), ["--run-after", "0s"])
            #expect(try heir.waitForEnd() == .exited(0), "\(fit.log)\n\(heir.log)")
        }

        @Test(.enabled(if: Unsharing.isPossible && Unsharing.userfaultfdIsPrivileged))
        func `without permission for userfaultfd all three remedies are named`() throws {
            let bench = try Bench()
            let source = try bench.source()
            let destination = try bench.destination(
                to: source.address(),
                through: Unsharing.withoutUserfaultfd(bench.folder)
            )
            try expectUnfit(
                destination,
                naming: "userfaultfd is not permitted",
                "/dev/userfaultfd",
                "CAP_SYS_PTRACE",
                "vm.unprivileged_userfaultfd=1"
            )
            let heir = try bench.destination(to: source.address(), ["--run-after", "0s"])
            #expect(try heir.waitForEnd() == .exited(0), "\(source.log)\n\(heir.log)")
        }

        @Test func `too little memory is said before anything is taken`() throws {
            let bench = try Bench()
            let source = try bench.start(
                .source,
                ["--memory", "3T", "--listen", bench.folder.address()]
            )
            try expectUnfit(source, naming: "too little memory", "MiB available", "smaller guest")
        }

        @Test func `too few huge pages are said, and how to have more`() throws {
            let bench = try Bench()
            let source = try bench.start(
                .source,
                ["--memory", "3T", "--backing", "hugetlb", "--listen", bench.folder.address()]
            )
            try expectUnfit(source, naming: "too few huge pages", "1572864", "vm.nr_hugepages")
            let fit = try bench.source(memory: "17M")
            let destination = try bench.destination(to: fit.address(), ["--backing", "hugetlb"])
            try expectUnfit(destination, naming: "apus-destination: ", "2 MiB")
        }

        @Test func `an address in use is refused, and its owner goes on`() throws {
            let bench = try Bench()
            for listen in ["tcp:127.0.0.1:0", bench.folder.address()] {
                let owner = try bench.source(listen: listen)
                let address = try owner.address()
                for program in [ApusProcess.Program.source, .destination] {
                    let late = try bench.start(
                        program,
                        (program == .source
                            ? ["--memory", "16M"] : ["--connect", "unix:/nowhere"])
                            + ["--listen", address]
                    )
                    try expectUnfit(late, naming: address, "another process listens there")
                }
                let heir = try bench.destination(to: address, ["--run-after", "0s"])
                #expect(try heir.waitForEnd() == .exited(0), "\(owner.log)\n\(heir.log)")
            }
        }

        @Test func `a socket file left by a killed process is replaced`() throws {
            let bench = try Bench()
            let first = try bench.source()
            let address = try first.address()
            try first.end(by: SIGKILL)
            #expect(FileManager.default.fileExists(atPath: String(address.dropFirst(5))))
            let second = try bench.source(listen: address)
            #expect(try second.end(by: SIGTERM) == .exited(0))
        }

        @Test func `a file that is no socket is never replaced`() throws {
            let bench = try Bench()
            let path = bench.folder.file("precious")
            try Data("precious".utf8).write(to: URL(fileURLWithPath: path))
            let source = try bench.start(.source, ["--memory", "16M", "--listen", "unix:\(path)"])
            try expectUnfit(source, naming: path)
            #expect(FileManager.default.contents(atPath: path) == Data("precious".utf8))
        }

        @Test func `where nobody listens the destination says what to start`() throws {
            let bench = try Bench()
            let closed = try bench.source(listen: "tcp:127.0.0.1:0")
            let port = try closed.address()
            try closed.end(by: SIGTERM)
            for address in [port, bench.folder.address()] {
                let destination = try bench.destination(to: address)
                try expectUnfit(destination, naming: address, "start apus-source")
            }
        }

        @Test func `a folder that does not exist, and an address of nobody, are named`() throws {
            let bench = try Bench()
            for address in ["unix:/nowhere/socket", "tcp:192.0.2.1:4711"] {
                let source = try bench.start(.source, ["--memory", "16M", "--listen", address])
                try expectUnfit(source, naming: address)
            }
        }
    }
}

/// Command lines that take something away from the process they end in.
private enum Unsharing {
    static let isPossible = Command.run(["unshare", "-m", "true"]).code == 0

    /// Whether this host keeps userfaultfd from those without a capability.
    static let userfaultfdIsPrivileged =
        Command.run(["cat", "/proc/sys/vm/unprivileged_userfaultfd"]).text == "0\n"

    /// An empty /dev.
    static let withoutDevices = [
        "unshare", "-m", "sh", "-c", "mount -t tmpfs none /dev && exec \"$@\"", "sh",
    ]

    /// All of /dev but KVM.
    static func withoutKVM(_ folder: ScratchFolder) -> [String] {
        let empty = folder.file("empty")
        let hide = ": >\(empty) && chmod 0 \(empty) && mount --bind \(empty) /dev/kvm"
        return [
            "unshare", "-m", "sh", "-c", "\(hide) && exec \"$@\"", "sh", "setpriv",
            "--inh-caps=-all,+sys_ptrace", "--bounding-set=-all,+sys_ptrace",
        ]
    }

    /// No capability, and a /dev/userfaultfd that cannot be opened.
    static func withoutUserfaultfd(_ folder: ScratchFolder) -> [String] {
        let empty = folder.file("empty")
        let hide =
            ": >\(empty) && chmod 0 \(empty) && if [ -e /dev/userfaultfd ]; then "
            + "mount --bind \(empty) /dev/userfaultfd; fi"
        return [
            "unshare", "-m", "sh", "-c", "\(hide) && exec \"$@\"", "sh", "setpriv",
            "--inh-caps=-all", "--bounding-set=-all",
        ]
    }
}
