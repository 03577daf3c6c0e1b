// SPDX-License-Identifier: Apache-2.0

import MigrationWire
import ProcessSupport

/// A destination without a machine: takes each step of the protocol when told to.
final class RawDestination {
    let control: RawConnection
    private(set) var welcome = WireWelcome()
    private(set) var urgent: RawConnection?
    private(set) var bulk: RawConnection?
    private let address: String

    /// Opens the control lane.
    init(to address: String) throws {
        self.address = address
        control = try RawConnection(to: address)
        control.send(RawBytes.preamble(kind: 0))
        guard let answer = control.receive(16), answer[10] == 0 else {
            throw ProcessFailure("the control lane was not accepted")
        }
    }

    deinit { die() }

    /// Says hello and takes the welcome.
    func greet() throws {
        control.send(RawBytes.control(.hello(honestHello)))
        guard case .welcome(let welcome) = RawBytes.body(of: control.receiveControl()) else {
            throw ProcessFailure("no welcome")
        }
        self.welcome = welcome
    }

    /// What an honest destination of this host says.
    var honestHello: WireHello {
        var hello = WireHello()
        hello.pageByteCount = 4096
        return hello
    }

    /// Opens another lane; nil when it is refused.
    func lane(kind: UInt8, index: UInt8 = 0, key: [UInt8]? = nil) throws -> RawConnection? {
        let lane = try RawConnection(to: address)
        lane.send(
            RawBytes.preamble(kind: kind, index: index, key: key ?? Array(welcome.sessionKey))
        )
        guard let answer = lane.receive(16), answer[10] == 0 else { return nil }
        return lane
    }

    /// Opens one urgent and one bulk lane.
    func openLanes() throws {
        urgent = try lane(kind: 1)
        bulk = try lane(kind: 2)
    }

    /// What an honest destination would have built.
    var honestPrepared: WirePrepared {
        var prepared = WirePrepared()
        prepared.pageByteCount = 4096
        prepared.memory = welcome.machine.memory
        prepared.vcpuCount = welcome.machine.vcpuCount
        prepared.urgentLanes = 1
        prepared.bulkLanes = 1
        prepared.pagesPerRequest = 1
        return prepared
    }

    /// Says it is prepared, and takes the state: now the guest is paused.
    @discardableResult
    func takeState() throws -> WireState {
        control.send(RawBytes.control(.prepared(honestPrepared)))
        let answer = RawBytes.body(of: control.receiveControl())
        guard case .state(let state) = answer else {
            throw ProcessFailure("no state but \(String(describing: answer))")
        }
        return state
    }

    /// Goes all the way through the commit point; the guest is now this side's, which has none.
    func commit() throws {
        try greet()
        try openLanes()
        try takeState()
        control.send(RawBytes.control(.loaded(WireLoaded())))
        guard case .run = RawBytes.body(of: control.receiveControl()) else {
            throw ProcessFailure("no run")
        }
    }

    /// The reason of an abort, if that is the next message.
    func abortReason() -> String? {
        guard case .abort(let abort) = RawBytes.body(of: control.receiveControl()) else {
            return nil
        }
        return abort.reason
    }

    /// Closes everything, as the kernel does for a process that was killed.
    func die() {
        urgent?.close()
        bulk?.close()
        control.close()
    }
}
