// SPDX-License-Identifier: Apache-2.0

internal import LinuxSystem
internal import Synchronization

/// The near end of a round trip, owned by the measuring thread.
protocol Asker: ~Copyable {
    /// Sends a request of 48 bytes and takes the answer of as many and a page.
    mutating func ask() throws
}

/// How long a request and its answer take, between two threads.
enum RoundTrip {
    /// Round trips that are timed together.
    private static let batch = 50

    /// Measures on the calling thread.
    ///
    /// - Parameters:
    ///   - asker: The near end.
    ///   - trips: Round trips, rounded up to whole batches.
    ///   - answer: The far end on a thread of its own: answers so many requests.
    ///   - end: Ends both directions when one side fails.
    /// - Returns: Nanoseconds of a round trip, in the median batch: a thread that loses its
    ///   processor for a while is in few of them.
    /// - Throws: What either side fails with.
    static func nanoseconds<Near: Asker & ~Copyable>(
        _ asker: consuming Near,
        trips: Int,
        answer: @escaping @Sendable (Int) throws -> Void,
        end: @escaping @Sendable () -> Void
    ) throws -> Double {
        let batches = (trips + batch - 1) / batch
        let failure = FailureText()
        let threads = ThreadGroup()
        try threads.start("bench-answer") {
            do {
                // One batch more: the first is not timed.
                try answer((batches + 1) * batch)
            } catch {
                failure.set("\(error)")
                end()
            }
        }
        var times: [Double] = []
        do {
            for _ in 0...batches {
                let start = MonotonicTime.now
                for _ in 0..<batch { try asker.ask() }
                times.append(Double(MonotonicTime.now.nanoseconds(since: start)))
            }
        } catch {
            end()
            threads.joinAll()
            throw BenchFailure.failed(failure.text ?? "\(error)")
        }
        threads.joinAll()
        guard let time = median(times.dropFirst()) else {
            throw BenchFailure.failed("no round trips were asked for")
        }
        return time / Double(batch)
    }
}

/// What another thread failed with.
final class FailureText: Sendable {
    private let value = Mutex<String?>(nil)

    var text: String? { value.withLock { $0 } }

    func set(_ text: String) { value.withLock { $0 = $0 ?? text } }
}
