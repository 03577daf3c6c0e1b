// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxSystem
import TestSupport
import Testing

@Suite struct ListeningSocketTests: ~Copyable {
    private let directory = TemporaryDirectory()

    private var path: String { directory.file("socket") }

    @Test(.timeLimit(.minutes(1)))
    func `a connection is accepted, and bytes go both ways`() throws {
        let listener = try ListeningSocket(on: .unix(path: path))
        #expect(try acceptShared(from: listener) == nil)
        let client = try Socket.connect(to: listener.address)
        let server = try #require(try acceptShared(from: listener))
        try send([1], [2], on: client)
        #expect(try receive(2, from: server.socket) == [1, 2])
        try send([3], [], on: server.socket)
        #expect(try receive(1, from: client) == [3])
        #expect(try acceptShared(from: listener) == nil)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a waiting connection makes the listener readable`() throws {
        let listener = try ListeningSocket(on: .unix(path: path))
        #expect(try waitUntilReadable([listener.rawDescriptor], timeout: .zero) == [false])
        _ = try Socket.connect(to: listener.address)
        #expect(try waitUntilReadable([listener.rawDescriptor], timeout: .seconds(5)) == [true])
    }

    @Test func `the socket file goes with the listener`() throws {
        do {
            let listener = try ListeningSocket(on: .unix(path: path))
            #expect(exists(path))
            _ = listener.rawDescriptor
        }
        #expect(!exists(path))
    }

    @Test(.timeLimit(.minutes(1)))
    func `a stale socket file is replaced`() throws {
        do {
            // What a killed process leaves behind: the file under a name nobody removes.
            let other = directory.file("other")
            let listener = try ListeningSocket(on: .unix(path: other))
            #expect(unsafe rename(other, path) == 0)
            _ = listener.rawDescriptor
        }
        #expect(exists(path))
        let listener = try ListeningSocket(on: .unix(path: path))
        _ = try Socket.connect(to: listener.address)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a path in use is refused, and goes on being served`() throws {
        let listener = try ListeningSocket(on: .unix(path: path))
        expectInUse(.unix(path: path))
        #expect(exists(path))
        while try acceptShared(from: listener) != nil {}
        _ = try Socket.connect(to: listener.address)
        #expect(try acceptShared(from: listener) != nil)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a path in use with a full queue is refused as well`() throws {
        let listener = try ListeningSocket(on: .unix(path: path))
        // More connections than the queue takes: to ask whether anybody listens must not block.
        var waiting: [Shared] = []
        for _ in 0..<100 {
            if try waitUntilReadable([listener.rawDescriptor], timeout: .zero) == [true],
                waiting.count >= 65
            {
                break
            }
            waiting.append(Shared(try Socket.connect(to: listener.address)))
        }
        expectInUse(.unix(path: path))
    }

    @Test func `a file that is no socket is never removed`() throws {
        makeFile(path)
        expectInUse(.unix(path: path))
        #expect(exists(path))
    }

    @Test func `a directory and a link are never removed`() throws {
        let target = directory.file("target")
        makeFile(target)
        #expect(unsafe symlink(target, path) == 0)
        expectInUse(.unix(path: path))
        #expect(exists(path))
        expectInUse(.unix(path: directory.path))
        #expect(exists(directory.path))
    }

    @Test func `a directory that does not exist is named in the error`() {
        let address = SocketAddress.unix(path: directory.file("none/socket"))
        do {
            _ = try ListeningSocket(on: address)
            Issue.record("it listens")
        } catch {
            #expect(error.code == ENOENT)
            #expect(error.description.contains("\(address)"))
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `port 0 becomes a real port, which is refused to a second listener`() throws {
        let listener = try ListeningSocket(on: .tcp(host: "127.0.0.1", port: 0))
        guard case .tcp("127.0.0.1", let port) = listener.address else {
            Issue.record("listens on \(listener.address)")
            return
        }
        #expect(port != 0)
        expectInUse(listener.address)
        let client = try Socket.connect(to: listener.address)
        _ = try waitUntilReadable([listener.rawDescriptor], timeout: .seconds(5))
        let server = try #require(try acceptShared(from: listener))
        try send([1, 2], [], on: client)
        #expect(try receive(2, from: server.socket) == [1, 2])
    }

    @Test(.timeLimit(.minutes(1)))
    func `a port can be had again at once after its listener has gone`() throws {
        var address = SocketAddress.tcp(host: "127.0.0.1", port: 0)
        for _ in 0..<3 {
            let listener = try ListeningSocket(on: address)
            address = listener.address
            let client = try Socket.connect(to: address)
            _ = try waitUntilReadable([listener.rawDescriptor], timeout: .seconds(5))
            _ = try listener.accept()
            #expect(try receiveSome(from: client, most: 1) == [])
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `nobody listening, and no such host, are errors that name the address`() {
        for address in [
            SocketAddress.unix(path: path), .tcp(host: "127.0.0.1", port: 1),
            .tcp(host: "no such host", port: 1),
        ] {
            do {
                _ = try Socket.connect(to: address)
                Issue.record("connected to \(address)")
            } catch {
                #expect([ENOENT, ECONNREFUSED, EADDRNOTAVAIL].contains(error.code))
                #expect(error.description.contains("\(address)"))
            }
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `an address of another host cannot be listened on`() {
        do {
            _ = try ListeningSocket(on: .tcp(host: "192.0.2.1", port: 0))
            Issue.record("it listens")
        } catch {
            #expect(error.code == EADDRNOTAVAIL)
        }
    }

    private func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

    private func makeFile(_ path: String) {
        let file = unsafe open(path, O_CREAT | O_WRONLY, 0o600)
        #expect(file >= 0)
        close(file)
    }

    private func expectInUse(_ address: SocketAddress) {
        do {
            _ = try ListeningSocket(on: address)
            Issue.record("a second one listens on \(address)")
        } catch {
            #expect(error.code == EADDRINUSE)
            #expect(error.description.contains("\(address)"))
        }
    }
}
