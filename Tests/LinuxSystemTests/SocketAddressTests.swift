// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Testing

private let longest = String(repeating: "x", count: 107)

@Suite struct SocketAddressTests {
    @Test(arguments: [
        ("unix:/run/apus.sock", SocketAddress.unix(path: "/run/apus.sock")),
        ("unix:relative", .unix(path: "relative")),
        ("unix:a:b:1", .unix(path: "a:b:1")),
        ("unix:" + longest, .unix(path: longest)),
        ("tcp:localhost:7000", .tcp(host: "localhost", port: 7000)),
        ("tcp:10.0.0.1:0", .tcp(host: "10.0.0.1", port: 0)),
        ("tcp:host:65535", .tcp(host: "host", port: 65_535)),
        ("tcp::7000", .tcp(host: "", port: 7000)),
        ("tcp:[::1]:7000", .tcp(host: "::1", port: 7000)),
        ("tcp:[fe80::1%eth0]:7000", .tcp(host: "fe80::1%eth0", port: 7000)),
    ])
    func `an address is read and written in one form`(text: String, address: SocketAddress) {
        #expect(SocketAddress(text) == address)
        #expect(address.description == text)
    }

    @Test(arguments: [
        "", "unix", "unix:", "tcp", "tcp:", "tcp:host", "tcp:host:", "tcp:host:x", "tcp:host:-1",
        "tcp:host:65536", "tcp:host:99999999999999999999", "tcp:host:80x", "tcp:host: 80",
        "tcp:host:+80", "tcp:7000", "udp:host:80", "TCP:host:80", "/run/apus.sock", " tcp:a:1",
        "tcp:[::1]", "tcp:[::1:80", "tcp:::1:80", "tcp:::1]:80", "tcp:a:b:80", "tcp:[]:80",
        "tcp:[host]:80", "tcp:[[::1]]:80", "tcp:host:８０",
        "unix:x" + longest,
        "unix:" + String(repeating: "ü", count: 54),
    ])
    func `what is no address is refused`(text: String) {
        #expect(SocketAddress(text) == nil)
    }

    @Test func `a zero byte, which would end a path early, is refused`() {
        #expect(SocketAddress("unix:a\0b") == nil)
        #expect(SocketAddress("tcp:a\0b:80") == nil)
    }
}
