// SPDX-License-Identifier: Apache-2.0

private import Glibc
package import LinuxSystem
package import MigrationWire

/// Connects to one address.
package struct SocketConnector: LaneConnector {
    private let address: SocketAddress

    package let transport: TransportChoice

    /// - Parameters:
    ///   - address: Where the source listens.
    ///   - transport: What page lanes are to be carried by. Rings need a Unix socket, over which
    ///     their memory is handed; for any other address `auto` means the socket.
    package init(address: SocketAddress, transport: TransportChoice = .auto) {
        self.address = address
        self.transport = transport == .auto && !address.passesMemory ? .socket : transport
    }

    package var peer: String { address.description }

    package func connect() throws(MigrationError) -> Socket {
        do {
            return try Socket.connect(to: address)
        } catch {
            let remedy =
                switch error.code {
                case ENOENT, ECONNREFUSED:
                    "no source listens there: start apus-source with --listen \(address), and "
                        + "connect once it says that it listens"
                case EACCES: "run as the user that started the source, or as root"
                case ETIMEDOUT, EHOSTUNREACH, ENETUNREACH:
                    "check the route and the firewall between the two hosts"
                default: "check the address"
                }
            throw .host("\(error); \(remedy)")
        }
    }
}

/// Listens on several addresses at once.
package final class SocketAcceptor: LaneAcceptor {
    private let listeners: [Listener]

    private final class Listener: Sendable {
        let socket: ListeningSocket
        init(_ socket: consuming ListeningSocket) { self.socket = socket }
    }

    /// Listens, all addresses or none.
    ///
    /// - Throws: `host`, with cause and remedy, when an address cannot be had.
    package init(addresses: [SocketAddress]) throws(MigrationError) {
        var listeners: [Listener] = []
        for address in addresses {
            do {
                listeners.append(Listener(try ListeningSocket(on: address)))
            } catch {
                throw .host("\(error); \(Self.remedy(for: error, address))")
            }
        }
        self.listeners = listeners
    }

    /// Where it listens; TCP ports as the kernel chose them.
    package var addresses: [SocketAddress] { listeners.map { $0.socket.address } }

    package var place: String { addresses.map(\.description).joined(separator: ", ") }

    package var rawDescriptors: [CInt] { listeners.map { $0.socket.rawDescriptor } }

    package func accept() throws(MigrationError) -> Socket? {
        for listener in listeners {
            do {
                if let socket = try listener.socket.accept() { return socket }
            } catch {
                throw .system(error)
            }
        }
        return nil
    }

    private static func remedy(for error: SystemError, _ address: SocketAddress) -> String {
        switch (error.code, address) {
        case (EADDRINUSE, .tcp):
            "another process listens there: choose another port, or port 0 for a free one"
        case (EADDRINUSE, .unix):
            "another process listens there, or the file is no socket: choose another path"
        case (EADDRNOTAVAIL, _): "this host has no such address: see 'ip address'"
        case (EACCES, .tcp): "ports below 1024 need root: choose a higher one"
        case (ENOENT, .unix), (EACCES, .unix): "choose a path in a directory you can write to"
        default: "check the address"
        }
    }
}

extension SocketAddress {
    /// Whether memory for rings can be handed over there.
    package var passesMemory: Bool {
        switch self {
        case .unix: true
        case .tcp: false
        }
    }
}
