// SPDX-License-Identifier: Apache-2.0

import Glibc
import ProcessSupport
import Telemetry
import TestSupport
import Testing

extension EndToEndTests {
    /// Whole migrations, and what both sides say of them.
    @Suite struct Migrations {
        struct Shape: CustomTestStringConvertible, Sendable {
            let vCPUs: Int
            let from: String
            let to: String
            /// One of ring, unix and tcp.
            let transport: String
            var testDescription: String { "\(vCPUs) vCPUs, \(from) to \(to), \(transport)" }

            static var due: [Shape] {
                (FaultPathUnderTest.isTestedInFull ? [1, 2, 4] : [4]).flatMap { vCPUs in
                    ["anonymous", "memfd"].flatMap { backing in
                        ["ring", "unix", "tcp"].map { transport in
                            // TCP migrations change the backing on their way.
                            let other = backing == "memfd" ? "anonymous" : "memfd"
                            return Shape(
                                vCPUs: vCPUs,
                                from: backing,
                                to: transport == "tcp" ? other : backing,
                                transport: transport
                            )
                        }
                    }
                }
            }
        }

        @Test(
            .enabled(if: HostFacts.runsHugePageTests, "needs 64 huge pages: vm.nr_hugepages"),
            arguments: [
                Shape(vCPUs: 2, from: "memfd", to: "hugetlb", transport: "ring"),
                Shape(vCPUs: 1, from: "hugetlb", to: "anonymous", transport: "unix"),
                Shape(vCPUs: 2, from: "hugetlb", to: "hugetlb", transport: "tcp"),
            ]
        )
        func `a guest moves into and out of huge pages`(shape: Shape) throws {
            try move(shape)
        }

        @Test func `vCPUs that share one lane move as others do`() throws {
            try move(
                Shape(vCPUs: 4, from: "anonymous", to: "memfd", transport: "ring"),
                ["--lanes", "1"]
            )
        }

        @Test(arguments: Shape.due)
        func `a guest moves whole and goes on`(shape: Shape) throws {
            try move(shape)
        }

        private func move(_ shape: Shape, _ flags: [String] = []) throws {
            let bench = try Bench()
            let source = try bench.source(
                memory: scaledMemory(megabytes: 64),
                vCPUs: shape.vCPUs,
                ["--backing", shape.from],
                listen: shape.transport == "tcp" ? "tcp:127.0.0.1:0" : nil
            )
            let destination = try bench.destination(
                to: source.address(),
                [
                    "--backing", shape.to, "--listen", bench.folder.address(), "--transport",
                    shape.transport == "ring" ? "ring" : "socket",
                ] + flags
            )
            // It listens when the report has been written.
            _ = try destination.address()
            try destination.letGuestRun(milliseconds: 100)
            #expect(try destination.end(by: SIGTERM) == .exited(0), "\(destination.log)")
            let report = try expectSuccess(from: source, to: destination)
            // The report was written once more, with how the guest went on.
            #expect((report.gaps.outsideAfterMicroseconds ?? 0) > 0)
            #expect((report.progress?.iterations ?? []).contains { $0 > 0 })
            #expect(report.machine.backing == shape.to)
            #expect(report.machine.vcpuCount == shape.vCPUs)
            #expect(report.transport.hasPrefix(shape.transport == "tcp" ? "tcp:" : "unix:"))
            #expect(report.transport.hasSuffix(", ring") == (shape.transport == "ring"))
            let before = try #require(report.walker).iterations
            let after = try #require(pagesVerifiedAtEnd(destination))
            #expect(after > before, "the guest stood still after its arrival")
        }

        @Test func `what does not compress travels as it is, and zero pages cost nothing`() throws {
            let bench = try Bench()
            let source = try bench.source(
                memory: "64M",
                vCPUs: 2,
                ["--guest-order", "random", "--guest-random", "60", "--guest-zero", "20"]
            )
            let destination = try bench.destination(
                to: source.address(),
                ["--run-after", "300ms"]
            )
            #expect(try destination.waitForEnd() == .exited(0), "\(destination.log)")
            let report = try expectSuccess(from: source, to: destination)
            let pages = report.pages
            // The walker's own pages, such as its page tables, are no part of the 20 %.
            let zeroShare = Double(pages.zero) / Double(pages.total)
            #expect((0.15...0.25).contains(zeroShare), "\(zeroShare)")
            // 80 % of the pages hold 60 % that cannot shrink; the rest is cheap.
            let wireShare = Double(report.bytes.wire) / Double(report.bytes.raw)
            #expect((0.40...0.75).contains(wireShare), "\(wireShare)")
        }

        @Test func `the source learns what the guest keeps writing`() throws {
            let bench = try Bench()
            let source = try bench.source(memory: "64M", vCPUs: 1, ["--guest-working-set", "16K"])
            let destination = try bench.destination(to: source.address(), ["--run-after", "0s"])
            #expect(try destination.waitForEnd() == .exited(0), "\(destination.log)")
            // All that it touches may come before it goes on.
            try expectSuccess(from: source, to: destination, touchesAbsent: false)
            let words = try #require(
                source.log.split(separator: "\n").first { $0.contains("watched the guest") }
            )
            let count = try #require(words.split(separator: " ").compactMap { Int($0) }.last)
            // Its four pages, its own counters and stack, and not the rest of its memory.
            #expect((4...64).contains(count), "\(words)")
        }

        @Test(arguments: [1, 3])
        func `the cap on bandwidth holds over all streams together`(streams: Int) throws {
            let bench = try Bench()
            let source = try bench.source(memory: "32M", vCPUs: 1, ["--guest-random", "60"])
            let destination = try bench.destination(
                to: source.address(),
                [
                    "--max-postcopy-bandwidth", "16M", "--streams", "\(streams)",
                    "--run-after", "200ms",
                ]
            )
            #expect(try destination.waitForEnd() == .exited(0), "\(destination.log)")
            let report = try expectSuccess(from: source, to: destination)
            let pages = report.pages
            let streamed = Double(report.bytes.wire) * Double(pages.streamed) / Double(pages.total)
            let expected = streamed / Double(16 << 20)
            let took = Double(try #require(report.postcopyMicroseconds)) / 1_000_000
            #expect(took > 0.85 * expected, "\(took) s where \(expected) s were due")
            // A busy host may take its time, but not for ever.
            let limit = 1.5 * expected + 0.5 * slowness
            #expect(took < limit, "\(took) s where \(expected) s were due")
        }

        @Test(arguments: [16, 0])
        func `pages of an even walk are sent ahead, if that is wanted`(most: Int) throws {
            let bench = try Bench()
            let source = try bench.source(
                memory: "32M",
                vCPUs: 1,
                ["--guest-order", "strided", "--guest-stride", "33"]
            )
            let destination = try bench.destination(
                to: source.address(),
                // So slow a stream leaves the walker to itself.
                [
                    "--prefetch", "\(most)", "--max-postcopy-bandwidth", "8M",
                    "--run-after", "200ms",
                ]
            )
            #expect(try destination.waitForEnd() == .exited(0), "\(destination.log)")
            let pages = try expectSuccess(from: source, to: destination).pages
            if most == 0 {
                #expect(pages.prefetched == 0)
            } else {
                #expect(pages.prefetched > 50)
            }
        }

        @Test func `a guest in strided order moves over several lanes of each kind`() throws {
            let bench = try Bench()
            let source = try bench.source(
                memory: scaledMemory(megabytes: 32),
                vCPUs: 2,
                ["--guest-order", "strided", "--guest-stride", "37"]
            )
            let destination = try bench.destination(
                to: source.address(),
                ["--streams", "3", "--fault-readers", "2", "--run-after", "200ms"]
            )
            #expect(try destination.waitForEnd() == .exited(0), "\(destination.log)")
            try expectSuccess(from: source, to: destination)
        }

        @Test func `a source that listens on two addresses serves either`() throws {
            let bench = try Bench()
            let source = try bench.source(["--listen", "tcp:127.0.0.1:0"])
            let isThere = waitUntil(within: 10) { source.log.contains("listening on tcp:") }
            #expect(isThere)
            let line = try #require(
                source.log.split(separator: "\n").last { $0.hasPrefix("listening on tcp:") }
            )
            let destination = try bench.destination(
                to: String(line.dropFirst("listening on ".count)),
                ["--run-after", "0s"]
            )
            #expect(try destination.waitForEnd() == .exited(0), "\(destination.log)")
            try expectSuccess(from: source, to: destination)
        }
    }
}
