// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import MigrationWire
import ProcessSupport
import Synchronization

/// Stands between a real source and a real destination, and spoils what a test chooses.
///
/// Cuts both directions into messages; a tamper function decides on each.
final class Relay: Sendable {
    /// Who is to receive.
    enum Direction: Sendable { case toDestination, toSource }

    /// One message of one lane.
    struct Message: Sendable {
        let lane: LaneName
        let direction: Direction
        /// From 0 on this lane in this direction; the preamble and its answer are no messages.
        let index: Int
        let bytes: [UInt8]
        /// Who has it, and can say more.
        let relay: Relay
    }

    /// What becomes of a message.
    enum Verdict: Sendable {
        case pass
        case replace([UInt8])
        /// These bytes, and then the end of the lane.
        case end([UInt8])
    }

    typealias Tamper = @Sendable (Message) -> Verdict
    typealias AnswerTamper = @Sendable (LaneName, [UInt8]) -> [UInt8]

    /// Where the destination connects.
    let address: String
    private let source: String
    private let tamper: Tamper
    private let tamperAnswer: AnswerTamper
    private let connections = Mutex<[RawConnection]>([])
    private let destinations = Mutex<[LaneName: RawConnection]>([:])
    private let isOver = Atomic<Bool>(false)
    private let acceptor = ThreadGroup()
    private let threads = ThreadGroup()

    /// - Parameters:
    ///   - source: Address of the real source.
    ///   - folder: Takes the socket that the real destination connects to.
    ///   - tamper: Decides on each message.
    ///   - tamperAnswer: Spoils the 16 bytes that answer a lane's preamble.
    /// - Throws: When it cannot listen.
    init(
        to source: String,
        in folder: ScratchFolder,
        tamper: @escaping Tamper = { _ in .pass },
        tamperAnswer: @escaping AnswerTamper = { _, bytes in bytes }
    ) throws {
        address = folder.address()
        self.source = source
        self.tamper = tamper
        self.tamperAnswer = tamperAnswer
        guard let own = SocketAddress(address) else {
            throw ProcessFailure("'\(address)' is no address")
        }
        let listener = Listener(try ListeningSocket(on: own))
        try acceptor.start("relay") {
            while !self.isOver.load(ordering: .relaxed) { self.accept(from: listener) }
        }
    }

    /// Ends all lanes and threads.
    ///
    /// To be called before the relay is forgotten.
    func stop() {
        isOver.store(true, ordering: .relaxed)
        acceptor.joinAll()
        // Now nobody starts more of them.
        for connection in connections.withLock({ $0 }) { connection.close() }
        threads.joinAll()
    }

    /// Says something that the source has not said, on a lane where that is silent.
    func tellDestination(_ bytes: [UInt8], on lane: LaneName) {
        _ = destinations.withLock { $0[lane] }?.send(bytes)
    }

    private final class Listener: Sendable {
        let socket: ListeningSocket
        init(_ socket: consuming ListeningSocket) { self.socket = socket }
    }

    private func accept(from listener: Listener) {
        let ready = try? waitUntilReadable(
            [listener.socket.rawDescriptor],
            timeout: .milliseconds(50)
        )
        guard ready?[0] == true, let socket = try? listener.socket.accept(),
            let near = try? RawConnection(socket, patience: .seconds(60)),
            let far = try? RawConnection(to: source, patience: .seconds(60))
        else { return }
        connections.withLock { $0 += [near, far] }
        guard let lane = open(near, far) else {
            near.close()
            far.close()
            return
        }
        try? threads.start("relay-up") { self.pump(lane, .toSource, from: near, to: far) }
        try? threads.start("relay-down") { self.pump(lane, .toDestination, from: far, to: near) }
    }

    private func open(_ near: RawConnection, _ far: RawConnection) -> LaneName? {
        guard let preamble = near.receive(32) else { return nil }
        let lane: LaneName =
            switch preamble[10] {
            case 0: .control
            case 1: .urgent(preamble[11])
            default: .bulk(preamble[11])
            }
        far.send(preamble)
        guard let answer = far.receive(16) else { return nil }
        // Before the answer: whatever follows it may have more said on this lane.
        destinations.withLock { $0[lane] = near }
        near.send(tamperAnswer(lane, answer))
        return lane
    }

    private func pump(
        _ lane: LaneName,
        _ direction: Direction,
        from: RawConnection,
        to: RawConnection
    ) {
        var index = 0
        loop: while let bytes = lane == .control ? from.receiveControl() : from.receiveFrame() {
            let message = Message(
                lane: lane,
                direction: direction,
                index: index,
                bytes: bytes,
                relay: self
            )
            index += 1
            switch tamper(message) {
            case .pass: guard to.send(bytes) else { break loop }
            case .replace(let others): guard to.send(others) else { break loop }
            case .end(let last):
                to.send(last)
                break loop
            }
        }
        from.close()
        to.close()
    }
}
