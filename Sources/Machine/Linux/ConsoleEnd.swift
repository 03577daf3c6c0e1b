// SPDX-License-Identifier: Apache-2.0

internal import LinuxSystem

/// The other end of a guest's console, opened: descriptors and what can be done with them.
///
/// For one thread.
struct ConsoleEnd: Sendable {
    /// Holds what can be neither copied nor left out, so that it can be both.
    private final class Held<Value: ~Copyable & Sendable>: Sendable {
        let value: Value
        init(_ value: consuming Value) { self.value = value }
    }

    private var input: Held<FileDescriptor>?
    private var output: Held<FileDescriptor>?
    private var listener: Held<ListeningSocket>?
    private var client: Held<Socket>?

    /// - Throws: For example `EADDRINUSE` or `EACCES`.
    init(_ target: ConsoleTarget) throws(SystemError) {
        switch target {
        case .none:
            break
        case .standard:
            input = Held(try FileDescriptor(duplicating: 0))
            output = Held(try FileDescriptor(duplicating: 1))
        case .file(let path):
            output = Held(try FileDescriptor(appendingTo: path))
        case .socket(let path):
            listener = Held(try ListeningSocket(on: .unix(path: path)))
        }
    }

    /// Whether anybody takes output now; it is dropped otherwise.
    var takesOutput: Bool { output != nil || client != nil }

    /// For a poll set: readable when there is input; -1 when there cannot be.
    var inputDescriptor: CInt { input?.value.rawValue ?? client?.value.rawDescriptor ?? -1 }

    /// For a poll set: ready when output can be written; -1 when nobody takes it.
    var outputDescriptor: CInt { output?.value.rawValue ?? client?.value.rawDescriptor ?? -1 }

    /// For a poll set: readable when a client waits; -1 while there is one, or cannot be.
    var arrivalDescriptor: CInt { client == nil ? listener?.value.rawDescriptor ?? -1 : -1 }

    /// Takes the client that waits.
    mutating func acceptClient() {
        // A client that has gone again, or for whom there is no descriptor, is no client.
        guard let listener, let socket = try? listener.value.accept() else { return }
        client = Held(socket)
    }

    /// Writes what can be written now, when the output descriptor is ready.
    ///
    /// A terminal that has too little room waits all the same: not for who holds a lock.
    ///
    /// - Returns: How many bytes were taken; nil when nobody will ever take them.
    func write(_ bytes: some Collection<UInt8>) -> Int? {
        if let output { return output.value.writeOnce(bytes) }
        return client?.value.sendNow(bytes)
    }

    /// Makes room for another client.
    mutating func dropClient() { client = nil }

    /// Reads what is there, when the input descriptor is ready.
    mutating func read(limit: Int) -> [UInt8] {
        if let input {
            if let bytes = input.value.readOnce(limit: limit) { return bytes }
            // The end: a poll set would find it ready for ever.
            self.input = nil
            return []
        }
        var bytes = [UInt8](repeating: 0, count: limit)
        let outcome = unsafe bytes.withUnsafeMutableBytes { buffer in
            unsafe try? client?.value.receiveNow(into: buffer)
        }
        switch outcome {
        case .bytes(let count): return Array(bytes.prefix(count))
        case .closed: client = nil
        // An error, or nothing after all.
        case nil: break
        }
        return []
    }
}
