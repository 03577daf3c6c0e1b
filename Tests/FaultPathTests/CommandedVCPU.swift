// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import KVM
import LinuxSystem
import MigrationDestination
import Synchronization

/// A vCPU of a ``CommandedGuest``, and what its thread does: run, serve its own exits, answer.
///
/// Every method is for the thread that drives the vCPU, apart from `interrupt`.
final class CommandedVCPU: Sendable {
    /// Why a vCPU does not go on.
    enum Stop: Error, Equatable {
        /// Its page will never come.
        case pageNeverCame(address: UInt64)
        /// It was told to.
        case interrupted
        /// Something that should not happen.
        case unexpected(VirtualCPUExit)
    }

    let virtualCPU: VirtualCPU
    private let server: VCPUFaultServer
    private let exits: FaultExits
    private let isInterrupted = Atomic<Bool>(false)

    init(_ virtualCPU: VirtualCPU, _ server: VCPUFaultServer, _ exits: FaultExits) {
        self.virtualCPU = virtualCPU
        self.server = server
        self.exits = exits
    }

    /// Reads the four bytes at an offset, a multiple of 8, of a page.
    func read(_ page: PageIndex, offset: Int = 0) throws -> UInt32 {
        try perform(.read, page, offset, 0)
    }

    func write(_ value: UInt32, to page: PageIndex, offset: Int = 0) throws {
        _ = try perform(.write, page, offset, UInt64(value))
    }

    /// Has the first byte of a page written to a port.
    func output(_ page: PageIndex) throws -> UInt32 { try perform(.output, page, 0, 0) }

    /// Has a byte read from a port into the first byte of a page.
    func input(_ byte: UInt8, to page: PageIndex) throws {
        _ = try perform(.input, page, 0, UInt64(byte))
    }

    /// Has eight bytes moved from a device to the beginning of a page.
    func move(_ value: UInt64, to page: PageIndex) throws {
        _ = try perform(.move, page, 0, value)
    }

    /// Makes the command under way end, for any thread; its thread has to be kicked as well.
    func interrupt() {
        isInterrupted.store(true, ordering: .sequentiallyConsistent)
        virtualCPU.requestImmediateExit()
    }

    private func perform(
        _ operation: CommandedGuest.Operation,
        _ page: PageIndex,
        _ offset: Int,
        _ operand: UInt64
    ) throws -> UInt32 {
        precondition(offset % 8 == 0 && offset < GuestPage.byteCount)
        let command = UInt64(page.rawValue << GuestPage.shift + offset) | UInt64(operation.rawValue)
        var output: UInt32?
        while true {
            switch try virtualCPU.run() {
            case .portAccess(let access):
                switch access.port {
                case CommandedGuest.Port.command: virtualCPU.answer(command)
                case CommandedGuest.Port.operand, CommandedGuest.Port.stringInput:
                    virtualCPU.answer(operand)
                case CommandedGuest.Port.stringOutput: output = access.value
                case CommandedGuest.Port.answer: return output ?? access.value
                default: throw Stop.unexpected(.portAccess(access))
                }
            case .deviceAccess(let access) where access.address == CommandedGuest.device:
                virtualCPU.answer(operand)
            case .memoryFault(let fault):
                guard server.serve(fault.address) else {
                    throw Stop.pageNeverCame(address: fault.address)
                }
                exits.prepareReentry(of: virtualCPU, after: fault)
                server.reenters()
            case .interrupted:
                if isInterrupted.load(ordering: .sequentiallyConsistent) { throw Stop.interrupted }
            case let exit: throw Stop.unexpected(exit)
            }
        }
    }
}
