// SPDX-License-Identifier: Apache-2.0

/// The other end of a console.
///
/// For one thread at a time; nothing waits.
package protocol ConsoleStream: Sendable {
    /// Takes input, at most so many bytes, above zero; none when there is none.
    func take(_ limit: Int) -> [UInt8]

    /// How many bytes of output there is room for.
    var room: Int { get }

    /// Gives output, no more than there is room for.
    func give(_ bytes: [UInt8])
}

/// A console of one port.
///
/// Virtual I/O Device 1.2, section 5.3.
package struct ConsoleModel<Stream: ConsoleStream>: VirtioModel {
    package let identity = VirtioIdentity(.console, queueCount: 2)
    private let stream: Stream

    private static var receiveQueue: Int { 0 }
    private static var mostInputBytes: Int { 4096 }

    /// - Parameter stream: The other end.
    package init(_ stream: Stream) {
        self.stream = stream
    }

    package mutating func serve(
        _ queue: Int,
        _ ring: inout Virtqueue,
        _ memory: some DeviceMemory,
        features: UInt64
    ) throws(VirtioDefect) -> ServiceOutcome {
        var attempt = ring
        guard let chain = try attempt.next(in: memory) else { return .idle }
        var written = 0
        if queue == Self.receiveQueue {
            let limit = min(chain.writableCount, Self.mostInputBytes)
            let input = limit > 0 ? stream.take(limit) : []
            guard !input.isEmpty || limit == 0 else { return .starved }
            try chain.write(input[...], at: 0, in: memory)
            written = input.count
        } else {
            // A request waits until all of it has room; none can be larger than that.
            let count = min(chain.readableCount, Self.mostOutputBytes)
            guard stream.room >= count else { return .starved }
            stream.give(try chain.read(from: 0, count: count, in: memory))
        }
        ring = attempt
        return .served(wantsInterrupt: try ring.complete(chain, written: written, in: memory))
    }

    /// What a stream has room for when it is empty, at the least; more in one request is lost.
    package static var mostOutputBytes: Int { 1 << 16 }
}
