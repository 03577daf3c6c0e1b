// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import MigrationWire
import TestSupport
import Testing
import Transport

@Suite struct EndpointTests: ~Copyable {
    private let directory = TemporaryDirectory()

    private var unix: SocketAddress { .unix(path: directory.file("socket")) }

    @Test(.timeLimit(.minutes(1)))
    func `connections to any of its addresses are accepted`() throws {
        let acceptor = try SocketAcceptor(addresses: [unix, .tcp(host: "127.0.0.1", port: 0)])
        #expect(acceptor.addresses.count == 2)
        for address in acceptor.addresses {
            let connector = SocketConnector(address: address)
            #expect(connector.peer == address.description)
            let client = connector.lane(.control, over: try connector.connect(), ring: nil)
            _ = try waitUntilReadable(acceptor.rawDescriptors, timeout: .seconds(20))
            guard let socket = try acceptor.accept() else {
                Issue.record("nobody at \(address)")
                return
            }
            let server = acceptor.lane(.control, over: socket, ring: nil)
            ControlChannel(over: server).abort("hello")
            #expect(throws: MigrationError.aborted("hello")) {
                try ControlChannel(over: client).receive(within: .seconds(20))
            }
        }
        let nobody = try acceptor.accept() == nil
        #expect(nobody)
    }

    @Test(.timeLimit(.minutes(1)))
    func `an address in use is one line with its remedy, and gives the others back`() throws {
        let first = try SocketAcceptor(addresses: [.tcp(host: "127.0.0.1", port: 0)])
        let text = try #require(refusal(of: [unix] + first.addresses))
        #expect(text.contains("EADDRINUSE"))
        #expect(text.contains("\(first.addresses[0])"))
        #expect(text.contains("choose another port"))
        #expect(!text.contains("\n"))
        // The Unix address that did work is free again.
        _ = try SocketAcceptor(addresses: [unix])
    }

    @Test(.timeLimit(.minutes(1)))
    func `nobody there is one line that says what to start`() throws {
        do {
            _ = try SocketConnector(address: unix).connect()
            Issue.record("connected")
        } catch {
            #expect("\(error)".contains("start apus-source with --listen \(unix)"))
            #expect(!"\(error)".contains("\n"))
        }
    }

    private func refusal(of addresses: [SocketAddress]) -> String? {
        do {
            _ = try SocketAcceptor(addresses: addresses)
            return nil
        } catch {
            return error.description
        }
    }
}
