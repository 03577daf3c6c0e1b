// SPDX-License-Identifier: Apache-2.0

/// Where a socket listens or connects: `unix:PATH` or `tcp:HOST:PORT`.
package enum SocketAddress: Hashable, Sendable, CustomStringConvertible {
    /// A Unix socket file; the path has at most ``longestPath`` bytes.
    case unix(path: String)
    /// A TCP port. An empty host means every local address; port 0 lets the kernel choose.
    case tcp(host: String, port: UInt16)

    /// Bytes that fit into `sun_path` with its terminating zero.
    package static let longestPath = 107

    /// Reads `unix:PATH`, `tcp:HOST:PORT` or `tcp:[IPv6]:PORT`; nil for anything else.
    package init?(_ text: String) {
        guard !text.utf8.contains(0) else { return nil }
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            guard !path.isEmpty, path.utf8.count <= Self.longestPath else { return nil }
            self = .unix(path: path)
        } else if text.hasPrefix("tcp:") {
            let rest = text.dropFirst(4)
            guard let colon = rest.lastIndex(of: ":") else { return nil }
            let digits = rest[rest.index(after: colon)...]
            guard digits.allSatisfy({ $0.isASCII && $0.isNumber }), let port = UInt16(digits),
                let host = Self.host(rest[..<colon])
            else { return nil }
            self = .tcp(host: host, port: port)
        } else {
            return nil
        }
    }

    /// A name or an IPv4 address as it is, an IPv6 address out of its brackets; nil otherwise.
    private static func host(_ text: Substring) -> String? {
        let isBracketed = text.hasPrefix("[") && text.hasSuffix("]")
        let host = isBracketed ? text.dropFirst().dropLast() : text
        guard host.contains(":") == isBracketed, !host.contains(where: { "[]".contains($0) })
        else { return nil }
        return String(host)
    }

    /// The form ``init(_:)`` reads.
    package var description: String {
        switch self {
        case .unix(let path): "unix:\(path)"
        case .tcp(let host, let port):
            host.contains(":") ? "tcp:[\(host)]:\(port)" : "tcp:\(host):\(port)"
        }
    }
}
