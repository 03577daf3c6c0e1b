// SPDX-License-Identifier: Apache-2.0

import Foundation
import ProcessSupport
import Telemetry
import Testing

extension EndToEndTests {
    /// Two hosts, as far as one machine can be two: network namespaces joined by a veth pair.
    @Suite(
        .onEachPathInFullRuns,
        .enabled(if: NetworkPair.isWanted, "needs root and network namespaces")
    )
    struct Networks {
        @Test func `a guest moves over TCP from one network namespace to another`() throws {
            let network = try NetworkPair()
            let bench = try Bench()
            let source = try bench.source(
                memory: scaledMemory(megabytes: 64),
                vCPUs: 2,
                listen: "tcp:\(network.sourceAddress):4711",
                through: network.inSource
            )
            let destination = try bench.destination(
                to: source.address(),
                ["--run-after", "300ms", "--streams", "2"],
                through: network.inDestination
            )
            #expect(try destination.waitForEnd() == .exited(0), "\(destination.log)")
            let report = try expectSuccess(from: source, to: destination)
            #expect(report.transport == "tcp:\(network.sourceAddress):4711")
        }

        @Test func `a link that goes down costs the guest within seconds, and that is said`() throws
        {
            let network = try NetworkPair()
            let bench = try Bench()
            let source = try bench.source(
                memory: scaledMemory(megabytes: 512),
                listen: "tcp:\(network.sourceAddress):4711",
                through: network.inSource
            )
            let destination = try bench.destination(
                to: source.address(),
                through: network.inDestination
            )
            try destination.waitForLog("phase: switchover → postcopy")
            try network.cut()
            #expect(try destination.waitForEnd(within: 20) == .exited(11), "\(destination.log)")
            #expect(try source.waitForEnd(within: 20) == .exited(11), "\(source.log)")
        }

        @Test func `where there is no route, that is the cause, with a remedy`() throws {
            let network = try NetworkPair()
            let bench = try Bench()
            let destination = try bench.destination(
                to: "tcp:10.99.0.1:4711",
                through: network.inDestination
            )
            #expect(try destination.waitForEnd(within: 10) == .exited(69))
            #expect(destination.log.contains("check the route"))
        }
    }
}

/// Two network namespaces joined by a veth pair; removed with the object.
final class NetworkPair {
    let sourceAddress = "10.77.0.1"
    private let first: String
    private let second: String

    /// Whether the tests run: where namespaces can be had, or where they must be.
    static let isWanted: Bool =
        ProcessInfo.processInfo.environment["APUS_REQUIRE_NETNS"] == "1"
        || (try? NetworkPair()) != nil

    init() throws {
        let process = ProcessInfo.processInfo.processIdentifier
        let unique = "\(process)-\(UInt16.random(in: .min ... .max))"
        first = "apus-a-\(unique)"
        second = "apus-b-\(unique)"
        try Self.ip("netns", "add", first)
        try Self.ip("netns", "add", second)
        try Self.ip(
            "link",
            "add",
            "apus0",
            "netns",
            first,
            "type",
            "veth",
            "peer",
            "name",
            "apus0",
            "netns",
            second
        )
        for (namespace, address) in [(first, sourceAddress), (second, "10.77.0.2")] {
            try Self.ip("-n", namespace, "address", "add", "\(address)/30", "dev", "apus0")
            try Self.ip("-n", namespace, "link", "set", "apus0", "up")
            try Self.ip("-n", namespace, "link", "set", "lo", "up")
        }
    }

    deinit {
        for namespace in [first, second] { _ = Command.run(["ip", "netns", "delete", namespace]) }
    }

    /// Begins a command line that runs in the source's namespace.
    var inSource: [String] { ["ip", "netns", "exec", first] }

    /// Begins a command line that runs in the destination's namespace.
    var inDestination: [String] { ["ip", "netns", "exec", second] }

    /// Lets no packet through any more.
    func cut() throws {
        try Self.ip("-n", first, "link", "set", "apus0", "down")
    }

    private static func ip(_ words: String...) throws {
        let result = Command.run(["ip"] + words)
        guard result.code == 0 else {
            throw ProcessFailure("ip \(words.joined(separator: " ")): \(result.text)")
        }
    }
}
